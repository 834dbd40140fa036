rule prepare:
    input:
        raw=lambda w: raw_files(data_of(w)),
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
        source=lambda w: study_of(w).prepare(data_of(w)),
        out=subpath(output.rows, parent=True),
        modality=prepare_options_of,
        code=lambda w: stage_digest(*code_of(w).prepare(data_of(w))),
    message:
        "Preparing the rows of {wildcards.study}"
    shell:
        """
        logged {log:q} codsa-prepare {params.source:q} {params.modality:q} --out {params.out:q}
        """


rule prepare_auxiliary:
    input:
        raw=lambda w: raw_files(data_of(w)),
        excluded=excluded_of,
    output:
        rows=f"{STUDY}/{{auxiliary}}/rows.parquet",
        schema=f"{STUDY}/{{auxiliary}}/schema.json",
        manifest=f"{STUDY}/{{auxiliary}}/manifest.json",
    log:
        f"{STUDY}/logs/prepare_{{auxiliary}}.log",
    benchmark:
        f"{STUDY}/benchmarks/prepare_{{auxiliary}}.tsv"
    threads: 1
    resources:
        mem_mb=memory(1500, each=8),
        runtime=minutes(20, each=0.2),
    params:
        source=lambda w: study_of(w).prepare(data_of(w)),
        out=subpath(output.rows, parent=True),
        modality=prepare_options_of,
        excluded=lambda w, input: repeated("--exclude-near", folders(input.excluded)),
        code=lambda w: stage_digest(*code_of(w).prepare(data_of(w))),
    message:
        "Preparing the {wildcards.auxiliary} rows of {wildcards.study}"
    shell:
        """
        logged {log:q} codsa-prepare {params.source:q} {params.modality:q} \
            {params.excluded:q} --out {params.out:q}
        """
