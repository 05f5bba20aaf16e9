#!/bin/bash
# cli_scale.sh: engines start workers, and each finds its share (--shard auto). What several workers
# leave, at once or one after the other, by whatever engine, is what one process leaves: the
# gallery, too.
. test/check.bash
mkdir "$folder/in"
for i in 1 2 3 4 5 6 7 8; do
    cp $picture "$folder/in/$i.png"
done
cp docs/images/scenes/one.png "$folder/in/3.png"
cp docs/images/scenes/two.png "$folder/in/6.png"
printf 'no picture' > "$folder/in/9.png"
export -n SLURM_ARRAY_TASK_ID SLURM_PROCID OMPI_COMM_WORLD_RANK PMI_RANK JOB_COMPLETION_INDEX PARALLEL_SEQ
# shellcheck disable=SC2054 # lists of vitx-cli
what=(batch -m "$model" --do classify,explain --method rollout,gradcam --write npz --gallery --shard-size 2
    --threads 1 --progress none --quiet)
# batch DIR ARGUMENT...: a worker that writes to DIR
batch() {
    local to=$1
    shift
    "$program" "${what[@]}" --pages --out "$folder/$to" "$@" "$folder/in" 2>> "$folder/$to.err"
}
# The names and the sums of all that is written, but for the state.
sums() { (cd "$1" && find . -type f ! -path './state/*' | sort | xargs cksum); }
same() {
    sums "$folder/$1" > "$folder/$1.sums"
    diff "$folder/whole.sums" "$folder/$1.sums" > "$folder/differ" ||
        fail "$(head -4 "$folder/differ"; cat "$folder/$1.err")"
}

check "one process"
batch whole
[ $? = 1 ] || fail "it ended with another status than 1: $(cat "$folder/whole.err")"
sums "$folder/whole" > "$folder/whole.sums"
grep -q '/gallery/00004.list.js$' "$folder/whole.sums" ||
    fail "no gallery: $(cat "$folder/whole.sums")"
[ "$(grep -c '/pages/.*\.html$' "$folder/whole.sums")" = 8 ] ||
    fail "no pages: $(cat "$folder/whole.sums")"

check "workers at once"
for i in 0 1 2; do
    batch three --shard $i/3 &
done
wait
same three

check "workers at once that share nothing out"
for i in 0 1 2; do
    batch free &
done
wait
batch free # what a worker left to another one that was still at it
same free

check "what failed is done again, and the rest of the gallery is taken over"
mkdir "$folder/mend"
cp docs/images/scenes/one.png "$folder/mend/2.png"
cp docs/images/scenes/two.png "$folder/mend/3.png"
printf 'no picture' > "$folder/mend/1.png"
mend() { "$program" "${what[@]/#2/3}" --out "$folder/$1" "${@:2}" "$folder/mend" 2>> "$folder/mend.err"; }
mend again
cp $picture "$folder/mend/1.png"
mend again --retry-failed || fail "it failed again: $(cat "$folder/mend.err")"
mend mended
diff -r --exclude=state --exclude=plan.json "$folder/again" "$folder/mended" > "$folder/differ" ||
    fail "$(head -c 300 "$folder/differ")"
[ "$(grep -c '/2"' "$folder/again/state/00000.jsonl")" = 1 ] ||
    fail "the picture beside it was done again"

check "Slurm's array, counted from 4 in steps of 3"
for i in 4 7; do
    SLURM_ARRAY_TASK_ID=$i SLURM_ARRAY_TASK_COUNT=2 SLURM_ARRAY_TASK_MIN=4 SLURM_ARRAY_TASK_MAX=7 \
        SLURM_ARRAY_TASK_STEP=3 batch slurm --shard auto
done
same slurm

check "Open MPI"
for i in 0 1; do
    OMPI_COMM_WORLD_RANK=$i OMPI_COMM_WORLD_SIZE=2 batch mpi --shard auto
done
same mpi

check "Kubernetes' indexed job"
for i in 0 1; do
    JOB_COMPLETION_INDEX=$i batch kubernetes --shard auto/2
done
same kubernetes

check "GNU parallel"
if parallel --version 2> /dev/null | grep -q 'GNU parallel'; then
    parallel -j 2 -N0 "$program" "${what[@]}" --pages --out "$folder/parallel" --shard auto/2 "$folder/in" ::: 1 2 \
        2> "$folder/parallel.err"
    same parallel
else
    echo "cli_scale: no GNU parallel, its case is skipped"
fi
finish
