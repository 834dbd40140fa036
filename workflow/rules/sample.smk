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
        mem_mb=memory(2000, each=8),
        runtime=minutes(60, each=1, gpus=gpus_of, share=0.4),
        gpu=lambda w: min(gpus_of(w), 1),
        slurm_partition=lambda w: partition(gpus_of(w)),
    params:
        arguments=lambda w: words(study_of(w).sample(w.replicate, w.generator, w.r)),
        shard=lambda w: f"{int(w.shard) + 1}/{int(w.shards)}",
        code=lambda w: stage_digest("codsa.cli.sample", study_of(w).generator_module(w.generator)),
    shell:
        """
        codsa-sample --generator {input.generator} --data "$(dirname {input.rows})" \
            --split {input.split} {params.arguments} --shard {params.shard} \
            --out "$(dirname {output.manifest})" >{log} 2>&1 || {{ tail -n 5 {log} >&2; exit 2; }}
        """
