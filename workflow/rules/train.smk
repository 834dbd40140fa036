rule pretrain:
    input:
        rows=f"{STUDY}/source/rows.parquet",
        schema=f"{STUDY}/source/schema.json",
    output:
        encoder=directory(f"{STUDY}/encoder"),
    log:
        f"{STUDY}/logs/pretrain.log",
    benchmark:
        f"{STUDY}/benchmarks/pretrain.tsv"
    threads: 1
    resources:
        mem_mb=6000,
        runtime=240,
    params:
        arguments=lambda w: words(study_of(w).pretrain()),
        code=stage_digest("codsa.cli.train_gen", "codsa.encoders.autoencoder"),
    shell:
        """
        codsa-train-gen --data "$(dirname {input.rows})" {params.arguments} \
            --out {output.encoder} >{log} 2>&1 || {{ tail -n 5 {log} >&2; exit 2; }}
        """


rule train_generator:
    input:
        rows=f"{STUDY}/data/rows.parquet",
        schema=f"{STUDY}/data/schema.json",
        split=f"{REPLICATE}/split.parquet",
        laws=f"{REPLICATE}/split.json",
        encoder=encoder_of,
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
        pretrained=lambda w, input: repeated("--pretrained", input.encoder),
        code=lambda w: stage_digest(
            "codsa.cli.train_gen", study_of(w).generator_module(w.generator)
        ),
    shell:
        """
        codsa-train-gen --data "$(dirname {input.rows})" --split {input.split} \
            {params.arguments} {params.pretrained} --out {output.generator} >{log} 2>&1 || {{ tail -n 5 {log} >&2; exit 2; }}
        """
