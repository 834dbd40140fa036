rule report:
    input:
        metrics=all_metrics_of,
    output:
        page=report(
            f"{STUDY}/report.html",
            category="Studies",
            labels={"study": "{study}"},
            caption="../captions/report.rst",
        ),
        metrics=f"{STUDY}/metrics.csv",
        summary=f"{STUDY}/summary.csv",
    log:
        f"{STUDY}/logs/report.log",
    benchmark:
        f"{STUDY}/benchmarks/report.tsv"
    threads: 1
    resources:
        mem_mb=memory(1500),
        runtime=minutes(30),
    params:
        evaluations=lambda w, input: repeated("--eval", folders(input.metrics)),
        title=lambda w: study_of(w).experiment.title or w.study,
        out=subpath(output.page, parent=True),
        code=lambda w: stage_digest(*code_of(w).report()),
    message:
        "Writing the report of {wildcards.study}"
    shell:
        """
        logged {log:q} codsa-report {params.evaluations:q} --title {params.title:q} --out {params.out:q}
        """
