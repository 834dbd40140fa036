# One job evaluates all methods of a replicate: starting a process for each would take longer than the evaluation.
# The number of outputs depends on the study's methods, so that each study has a rule of its own.
for label in STUDIES:

    rule:
        name:
            f"evaluate_{label}"
        input:
            **SPLIT_DATA,
            fits=all_fits_of,
            pools=all_pools_of,
        output:
            metrics=expand(
                f"{EVALUATION}/metrics.json", method=STUDIES[label].methods, allow_missing=True
            ),
            fits=expand(
                f"{EVALUATION}/fits.parquet", method=STUDIES[label].methods, allow_missing=True
            ),
            predictions=expand(
                f"{EVALUATION}/predictions.parquet",
                method=STUDIES[label].methods,
                allow_missing=True,
            ),
            manifests=expand(
                f"{EVALUATION}/manifest.json", method=STUDIES[label].methods, allow_missing=True
            ),
        log:
            f"{REPLICATE}/logs/evaluate.log",
        benchmark:
            f"{REPLICATE}/benchmarks/evaluate.tsv"
        wildcard_constraints:
            study=re.escape(label),
        threads: 1
        resources:
            mem_mb=memory(2000, each=20),
            runtime=minutes(120, each=0.5, factor=methods_of),
        params:
            data=subpath(input.rows, parent=True),
            evaluations=lambda w: repeated("--evaluation", evaluations_of(w)),
            trust=lambda w: study_of(w).estimator_trust(),
            stream=lambda w: study_of(w).stream(w.replicate),
            code=lambda w: stage_digest(*code_of(w).evaluate()),
        message:
            "Evaluating all methods of {wildcards.study}, replicate {wildcards.replicate}, on the test rows"
        shell:
            """
            logged {log:q} codsa-eval --data {params.data:q} --split {input.split:q} \
                {params.evaluations:q} {params.trust:q} {params.stream:q}
            """
