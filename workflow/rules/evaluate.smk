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
        EVALUATIONS
    threads: 1
    resources:
        mem_mb=memory(2000, each=20, share=lambda: 1 / abreast(EVALUATIONS)),
        runtime=minutes(60, each=0.5, share=lambda: 1 / turns(EVALUATIONS)),
        group_slots=1,
    params:
        data=subpath(input.rows, parent=True),
        arguments=lambda w: study_of(w).evaluate(w.replicate, w.method),
        out=subpath(output.metrics, parent=True),
        fits=lambda w, input: repeated("--fits", input.fits),
        pools=lambda w, input: repeated("--pool", folders(input.pools)),
        code=lambda w: stage_digest(*code_of(w).evaluate()),
    shell:
        """
        logged {log:q} codsa-eval --data {params.data:q} --split {input.split:q} \
            {params.fits:q} {params.pools:q} {params.arguments:q} --out {params.out:q}
        """
