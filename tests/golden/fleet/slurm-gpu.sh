#!/bin/sh
# Written by nixgen plan --for slurm. Yours to change.
# 20 tasks build the projects, each its share, from one plan. In a folder that all nodes see:
#   nixgen plan --json a/one b.two > plan.json
#   job=$(sbatch --parsable THIS_FILE)
#   sbatch --dependency=afterany:$job --wrap "nixgen build --collect --plan plan.json --cache 's3://team/cache?endpoint=s3.example.org&region=x' --key team-1 --worker-key fleet-1.pub"
# fleet-1.pub is a copy of the workers' log.pub. A task that a node loses is queued again, and does what is left.
#SBATCH --job-name=nixgen-fleet
#SBATCH --array=1-20
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=nixgen-fleet-%a.out
#SBATCH --gres=gpu:1
set -eu
exec nixgen build --shard "$SLURM_ARRAY_TASK_ID/20" --plan plan.json --feature gpu --cache 's3://team/cache?endpoint=s3.example.org&region=x' --key fleet-1
