rule split:
    input:
        **DATA,
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
        mem_mb=memory(1500, each=8, share=lambda: 1 / concurrent_members(SPLITS)),
        runtime=minutes(20, each=0.05, share=lambda: 1 / rounds_of(SPLITS)),
        group_slots=1,
    params:
        data=subpath(input.rows, parent=True),
        sizes=lambda w: study_of(w).split_sizes(),
        stream=lambda w: study_of(w).stream(w.replicate),
        code=lambda w: stage_digest(*code_of(w).split()),
    message:
        "Splitting the rows of {wildcards.study}, replicate {wildcards.replicate}"
    shell:
        """
        logged {log:q} codsa-split --data {params.data:q} {params.sizes:q} {params.stream:q} \
            --out {output.split:q}
        """
