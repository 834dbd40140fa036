rule pretrain:
    input:
        rows=f"{STUDY}/source/rows.parquet",
        schema=f"{STUDY}/source/schema.json",
    output:
        pretrained=directory(f"{STUDY}/pretrained~{{kind}}"),
    log:
        f"{STUDY}/logs/pretrain-{{kind}}.log",
    benchmark:
        f"{STUDY}/benchmarks/pretrain-{{kind}}.tsv"
    threads: 1
    resources:
        mem_mb=6000,
        runtime=240,
    params:
        arguments=lambda w: words(study_of(w).pretrain(w.kind)),
        code=stage_digest(
            "codsa.cli.train_gen",
            "codsa.encoders.autoencoder",
            "codsa.generators.tabular_diffusion",
        ),
    shell:
        """
        codsa-train-gen --data "$(dirname {input.rows})" {params.arguments} \
            --out {output.pretrained} >{log} 2>&1 || {{ tail -n 5 {log} >&2; exit 2; }}
        """


rule train_generator:
    input:
        rows=f"{STUDY}/data/rows.parquet",
        schema=f"{STUDY}/data/schema.json",
        split=f"{REPLICATE}/split.parquet",
        laws=f"{REPLICATE}/split.json",
        pretrained=pretrained_of,
    output:
        generator=directory(f"{GENERATOR}/generator"),
    log:
        f"{GENERATOR}/logs/train.log",
    benchmark:
        f"{GENERATOR}/benchmarks/train.tsv"
    threads: 1
    resources:
        mem_mb=6000,
        runtime=240,
    params:
        arguments=lambda w: words(study_of(w).train(w.replicate, w.generator, w.r)),
        pretrained=lambda w, input: repeated("--pretrained", input.pretrained),
        code=lambda w: stage_digest(
            "codsa.cli.train_gen", study_of(w).generator_module(w.generator)
        ),
    shell:
        """
        codsa-train-gen --data "$(dirname {input.rows})" --split {input.split} \
            {params.arguments} {params.pretrained} --out {output.generator} >{log} 2>&1 || {{ tail -n 5 {log} >&2; exit 2; }}
        """
