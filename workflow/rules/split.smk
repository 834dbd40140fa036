rule split:
    input:
        rows=f"{STUDY}/data/rows.parquet",
        schema=f"{STUDY}/data/schema.json",
    output:
        split=f"{REPLICATE}/split.parquet",
        laws=f"{REPLICATE}/split.json",
    log:
        f"{REPLICATE}/logs/split.log",
    benchmark:
        f"{REPLICATE}/benchmarks/split.tsv"
    group:
        SPLITS
    threads: 1
    resources:
        mem_mb=memory(1500, each=8, share=lambda: 1 / abreast(SPLITS)),
        runtime=minutes(20, each=0.05, share=lambda: 1 / turns(SPLITS)),
        group_slots=1,
    params:
        data=subpath(input.rows, parent=True),
        arguments=lambda w: study_of(w).split(w.replicate),
        code=lambda w: stage_digest(*code_of(w).split()),
    shell:
        """
        logged {log:q} codsa-split --data {params.data:q} {params.arguments:q} --out {output.split:q}
        """
