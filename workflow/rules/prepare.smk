rule prepare:
    input:
        raw=lambda w: raw_files(study_of(w).experiment.data),
    output:
        rows=f"{STUDY}/data/rows.parquet",
        schema=f"{STUDY}/data/schema.json",
        manifest=f"{STUDY}/data/manifest.json",
    log:
        f"{STUDY}/logs/prepare.log",
    benchmark:
        f"{STUDY}/benchmarks/prepare.tsv"
    threads: 1
    resources:
        mem_mb=memory(1500, each=8),
        runtime=minutes(20, each=0.2),
    params:
        source=lambda w: study_of(w).prepare(study_of(w).experiment.data),
        out=subpath(output.rows, parent=True),
        cache=lambda w: cache_of(study_of(w).experiment.data),
        code=lambda w: stage_digest(*code_of(w).prepare(study_of(w).experiment.data)),
    message:
        "Preparing the rows of {wildcards.study}"
    shell:
        """
        logged {log:q} codsa-prepare {params.source:q} {params.cache:q} --out {params.out:q}
        """


rule prepare_further:
    input:
        raw=lambda w: raw_files(study_of(w).further(w.further)),
        apart=apart_of,
    output:
        rows=f"{STUDY}/{{further}}/rows.parquet",
        schema=f"{STUDY}/{{further}}/schema.json",
        manifest=f"{STUDY}/{{further}}/manifest.json",
    log:
        f"{STUDY}/logs/prepare_{{further}}.log",
    benchmark:
        f"{STUDY}/benchmarks/prepare_{{further}}.tsv"
    threads: 1
    resources:
        mem_mb=memory(1500, each=8),
        runtime=minutes(20, each=0.2),
    params:
        source=lambda w: study_of(w).prepare(study_of(w).further(w.further)),
        out=subpath(output.rows, parent=True),
        cache=lambda w: cache_of(study_of(w).further(w.further)),
        apart=lambda w, input: repeated("--apart-from", folders(input.apart)),
        code=lambda w: stage_digest(*code_of(w).prepare(study_of(w).further(w.further))),
    message:
        "Preparing the {wildcards.further} rows of {wildcards.study}"
    shell:
        """
        logged {log:q} codsa-prepare {params.source:q} {params.cache:q} \
            {params.apart:q} --out {params.out:q}
        """
