rule evaluate:
    input:
        rows=f"{STUDY}/data/rows.parquet",
        schema=f"{STUDY}/data/schema.json",
        split=f"{REPLICATE}/split.parquet",
        laws=f"{REPLICATE}/split.json",
        fits=fits_of,
        pools=pools_of,
    output:
        metrics=f"{REPLICATE}/eval~{{method}}/metrics.json",
        fits=f"{REPLICATE}/eval~{{method}}/fits.parquet",
        manifest=f"{REPLICATE}/eval~{{method}}/manifest.json",
    log:
        f"{REPLICATE}/logs/eval~{{method}}.log",
    benchmark:
        f"{REPLICATE}/benchmarks/eval~{{method}}.tsv"
    group:
        "evaluate-{replicate}"
    threads: 1
    resources:
        mem_mb=memory(2000, each=20),
        runtime=minutes(60, each=0.5),
    params:
        arguments=lambda w: words(study_of(w).evaluate(w.replicate, w.method)),
        fits=lambda w, input: repeated("--fits", input.fits),
        pools=lambda w, input: repeated("--pool", folders(input.pools)),
        code=lambda w: stage_digest("codsa.cli.eval", study_of(w).estimator_module()),
    shell:
        """
        codsa-eval --data "$(dirname {input.rows})" --split {input.split} {params.fits} \
            {params.pools} {params.arguments} --out "$(dirname {output.metrics})" \
            >{log} 2>&1 || {{ tail -n 5 {log} >&2; exit 2; }}
        """
