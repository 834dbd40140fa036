rule sample:
    input:
        rows=f"{STUDY}/data/rows.parquet",
        schema=f"{STUDY}/data/schema.json",
        split=f"{REPLICATE}/split.parquet",
        laws=f"{REPLICATE}/split.json",
        generator=f"{GENERATOR}/generator",
        inverter=inverter_of,
    output:
        manifest=f"{GENERATOR}/pool/shard-{{shard}}-of-{{shards}}.json",
    log:
        f"{GENERATOR}/logs/sample-{{shard}}-of-{{shards}}.log",
    benchmark:
        f"{GENERATOR}/benchmarks/sample-{{shard}}-of-{{shards}}.tsv"
    group:
        generation
    threads: 1
    resources:
        mem_mb=memory(2000, each=8, gpus=gpus_of),
        runtime=minutes(60, each=1, gpus=gpus_of, share=lambda: 0.4),
        gpu=lambda w: min(gpus_of(w), 1),
        slurm_partition=lambda w: partition(gpus_of(w)),
    params:
        data=subpath(input.rows, parent=True),
        arguments=lambda w: study_of(w).sample(w.replicate, w.generator, w.r),
        out=subpath(output.manifest, parent=True),
        shard=lambda w: f"{int(w.shard) + 1}/{int(w.shards)}",
        code=lambda w: stage_digest(*code_of(w).sample(w.generator)),
    shell:
        """
        logged {log:q} codsa-sample --generator {input.generator:q} --data {params.data:q} \
            --split {input.split:q} {params.arguments:q} --shard {params.shard:q} --out {params.out:q}
        """
