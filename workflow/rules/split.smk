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
        "split"
    threads: 1
    resources:
        mem_mb=memory(1500, each=8),
        runtime=minutes(20, each=0.05),
    params:
        arguments=lambda w: words(study_of(w).split(w.replicate)),
        code=stage_digest("codsa.cli.split"),
    shell:
        """
        codsa-split --data "$(dirname {input.rows})" {params.arguments} \
            --out {output.split} >{log} 2>&1 || {{ tail -n 5 {log} >&2; exit 2; }}
        """
