rule pretrain:
    input:
        rows=lambda w: f"{further_of(w)}/rows.parquet",
        schema=lambda w: f"{further_of(w)}/schema.json",
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
        arguments=lambda w: study_of(w).pretrain(w.kind),
        code=lambda w: stage_digest(*code_of(w).pretrain(w.kind)),
    shell:
        """
        trap : TERM # let the training write its checkpoint
        logged {log:q} codsa-train-gen --data {params.data:q} {params.arguments:q} \
            --out {output.pretrained:q}
        """


rule train_generator:
    input:
        rows=f"{STUDY}/data/rows.parquet",
        schema=f"{STUDY}/data/schema.json",
        split=f"{REPLICATE}/split.parquet",
        laws=f"{REPLICATE}/split.json",
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
        arguments=lambda w: study_of(w).train(w.replicate, w.generator, w.r),
        pretrained=lambda w, input: repeated("--pretrained", input.pretrained),
        inverter=lambda w, input: [
            word for folder in input.inverter for word in settings({"inverter": folder})
        ],
        code=lambda w: stage_digest(*code_of(w).train(w.generator)),
    shell:
        """
        trap : TERM # let the training write its checkpoint
        logged {log:q} codsa-train-gen --data {params.data:q} --split {input.split:q} \
            {params.arguments:q} {params.pretrained:q} {params.inverter:q} --out {output.generator:q}
        """
