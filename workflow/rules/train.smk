rule pretrain:
    input:
        rows=lambda w: f"{auxiliary_of(w)}/rows.parquet",
        schema=lambda w: f"{auxiliary_of(w)}/schema.json",
    output:
        pretrained=directory(f"{STUDY}/pretrained~{{kind}}"),
    log:
        f"{STUDY}/logs/pretrain-{{kind}}.log",
    benchmark:
        f"{STUDY}/benchmarks/pretrain-{{kind}}.tsv"
    threads: lambda w: max(pretraining_gpus_of(w), 1)
    resources:
        mem_mb=memory(2000, each=8, gpus=pretraining_gpus_of),
        runtime=minutes(120, each=1, gpus=pretraining_gpus_of),
        gpu=pretraining_gpus_of,
        nodes=1,
        slurm_partition=lambda w: partition(pretraining_gpus_of(w)),
    params:
        data=subpath(input.rows, parent=True),
        pretraining=lambda w: study_of(w).pretrained_options(w.kind),
        stream=lambda w: study_of(w).stream(),
        code=lambda w: stage_digest(*code_of(w).pretrain(w.kind)),
    message:
        "Pretraining the {wildcards.kind} of {wildcards.study}"
    shell:
        """
        trap : TERM # the training writes a checkpoint, then ends
        logged {log:q} codsa-train-gen --data {params.data:q} {params.pretraining:q} {params.stream:q} \
            --out {output.pretrained:q}
        """


rule train_generator:
    input:
        **SPLIT_DATA,
        pretrained=pretrained_of,
        inverter=inverter_of,
    output:
        generator=directory(f"{GENERATOR}/generator"),
    log:
        f"{GENERATOR}/logs/train.log",
    benchmark:
        f"{GENERATOR}/benchmarks/train.tsv"
    group:
        generation
    threads: lambda w: max(gpus_of(w), 1)
    resources:
        mem_mb=memory(2000, each=8, gpus=gpus_of),
        runtime=minutes(120, each=1, gpus=gpus_of, share=lambda: 0.6),
        gpu=gpus_of,
        nodes=1,
        slurm_partition=lambda w: partition(gpus_of(w)),
    params:
        data=subpath(input.rows, parent=True),
        generator=lambda w: study_of(w).generator_options(w.generator),
        part=lambda w: study_of(w).part_options(w.r),
        pretrained=lambda w, input: repeated("--pretrained", input.pretrained),
        inverter=lambda w, input: study_of(w).inverter_options(input.inverter),
        stream=lambda w: study_of(w).stream(w.replicate),
        code=lambda w: stage_digest(*code_of(w).train(w.generator)),
    message:
        "Training {wildcards.generator} at r = {wildcards.r}: {wildcards.study}, replicate {wildcards.replicate}"
    shell:
        """
        trap : TERM # the training writes a checkpoint, then ends
        logged {log:q} codsa-train-gen --data {params.data:q} --split {input.split:q} \
            {params.pretrained:q} {params.inverter:q} {params.generator:q} {params.part:q} \
            {params.stream:q} --out {output.generator:q}
        """
