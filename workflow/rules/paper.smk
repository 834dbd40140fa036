rule paper:
    input:
        reports=[f"{RESULTS}/{label}/metrics.csv" for label in PAPER],
    output:
        folder=directory(f"{RESULTS}/paper-{SETTINGS.scale}"),
    log:
        f"{RESULTS}/logs/paper-{SETTINGS.scale}.log",
    benchmark:
        f"{RESULTS}/benchmarks/paper-{SETTINGS.scale}.tsv"
    threads: 1
    resources:
        mem_mb=memory(1500),
        runtime=minutes(30),
    params:
        scale=SETTINGS.scale,
        results=subpath(output.folder, parent=True),
        code=lambda w: stage_digest("codsa.cli.paper"),
    message:
        "Putting the paper's tables and figures beside what was measured, at scale {params.scale}"
    shell:
        """
        logged {log:q} codsa paper --results {params.results:q} --scale {params.scale:q}
        """
