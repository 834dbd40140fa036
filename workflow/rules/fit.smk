rule fit:
    input:
        rows=f"{STUDY}/data/rows.parquet",
        schema=f"{STUDY}/data/schema.json",
        split=f"{REPLICATE}/split.parquet",
        laws=f"{REPLICATE}/split.json",
        pools=pools_of_fit,
    output:
        fits=directory(f"{REPLICATE}/fit~{{method}}/r~{{r}}"),
    log:
        f"{REPLICATE}/logs/fit~{{method}}-r~{{r}}.log",
    benchmark:
        f"{REPLICATE}/benchmarks/fit~{{method}}-r~{{r}}.tsv"
    group:
        "fit-{replicate}"
    threads: 1
    resources:
        mem_mb=memory(2000, each=20, factor=synthetic),
        runtime=minutes(120, each=1, factor=synthetic),
    params:
        arguments=lambda w: words(study_of(w).fit(w.replicate, w.method, w.r)),
        pools=lambda w, input: repeated("--pool", folders(input.pools)),
        code=lambda w: stage_digest("codsa.cli.fit", study_of(w).estimator_module()),
    shell:
        """
        codsa-fit --data "$(dirname {input.rows})" --split {input.split} {params.pools} --cores {threads} \
            {params.arguments} --out {output.fits} >{log} 2>&1 || {{ tail -n 5 {log} >&2; exit 2; }}
        """
