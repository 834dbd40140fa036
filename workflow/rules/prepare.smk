rule prepare:
    input:
        raw=lambda w: raw_file(study_of(w).experiment.data),
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
        arguments=lambda w: words(study_of(w).prepare(study_of(w).experiment.data)),
        code=stage_digest("codsa.cli.prepare"),
    shell:
        """
        codsa-prepare {params.arguments} --out "$(dirname {output.rows})" >{log} 2>&1 || {{ tail -n 5 {log} >&2; exit 2; }}
        """


rule prepare_source:
    input:
        raw=lambda w: raw_file(study_of(w).source),
    output:
        rows=f"{STUDY}/source/rows.parquet",
        schema=f"{STUDY}/source/schema.json",
        manifest=f"{STUDY}/source/manifest.json",
    log:
        f"{STUDY}/logs/prepare_source.log",
    benchmark:
        f"{STUDY}/benchmarks/prepare_source.tsv"
    threads: 1
    resources:
        mem_mb=memory(1500, each=8),
        runtime=minutes(20, each=0.2),
    params:
        arguments=lambda w: words(study_of(w).prepare(study_of(w).source)),
        code=stage_digest("codsa.cli.prepare"),
    shell:
        """
        codsa-prepare {params.arguments} --out "$(dirname {output.rows})" >{log} 2>&1 || {{ tail -n 5 {log} >&2; exit 2; }}
        """
