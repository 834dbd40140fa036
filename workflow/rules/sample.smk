rule sample:
    input:
        **SPLIT_DATA,
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
        grids=lambda w: study_of(w).pool_grids(w.generator, w.r),
        shard=lambda w: f"{int(w.shard) + 1}/{int(w.shards)}",
        trust=lambda w: study_of(w).generator_trust(w.generator),
        stream=lambda w: study_of(w).stream(w.replicate),
        out=subpath(output.manifest, parent=True),
        code=lambda w: stage_digest(*code_of(w).sample(w.generator)),
    message:
        "Drawing synthetic rows with {wildcards.generator} at r = {wildcards.r}, shard {wildcards.shard}: "
        "{wildcards.study}, replicate {wildcards.replicate}"
    shell:
        """
        logged {log:q} codsa-sample --generator {input.generator:q} --data {params.data:q} \
            --split {input.split:q} --shard {params.shard:q} {params.grids:q} {params.trust:q} \
            {params.stream:q} --out {params.out:q}
        """
