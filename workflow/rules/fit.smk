rule fit:
    input:
        **SPLIT_DATA,
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
        mem_mb=memory(2000, each=20, factor=synthetic, share=lambda: 1 / concurrent_members(FITS)),
        runtime=minutes(120, each=1, factor=synthetic, share=lambda: 1 / rounds_of(FITS)),
        group_slots=1,
    params:
        data=subpath(input.rows, parent=True),
        pools=lambda w, input: repeated("--pool", folders(input.pools)),
        grid=lambda w: study_of(w).grid_options(w.method, w.r),
        estimator=lambda w: study_of(w).estimator_options(w.method),
        metric=lambda w: study_of(w).metric_options(),
        stream=lambda w: study_of(w).stream(w.replicate),
        code=lambda w: stage_digest(*code_of(w).fit()),
    message:
        "Fitting the grid of {wildcards.method} at r = {wildcards.r}: {wildcards.study}, replicate {wildcards.replicate}"
    shell:
        """
        logged {log:q} codsa-fit --data {params.data:q} --split {input.split:q} {params.pools:q} \
            {params.grid:q} {params.estimator:q} {params.metric:q} {params.stream:q} \
            --cores {threads} --out {output.fits:q}
        """
