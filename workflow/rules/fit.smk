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
        FITS
    threads: 1
    resources:
        mem_mb=memory(2000, each=20, factor=synthetic, share=lambda: 1 / abreast(FITS)),
        runtime=minutes(120, each=1, factor=synthetic, share=lambda: 1 / turns(FITS)),
        group_slots=1,
    params:
        data=subpath(input.rows, parent=True),
        arguments=lambda w: study_of(w).fit(w.replicate, w.method, w.r),
        pools=lambda w, input: repeated("--pool", folders(input.pools)),
        code=lambda w: stage_digest(*code_of(w).fit()),
    shell:
        """
        logged {log:q} codsa-fit --data {params.data:q} --split {input.split:q} \
            {params.pools:q} --cores {threads} {params.arguments:q} --out {output.fits:q}
        """
