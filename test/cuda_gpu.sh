#!/bin/bash
# The tests that can run on a GPU, in the way they run there, with the twin as a plug-in in its
# place: which versions they take, the memory that both sides reach, and waiting for each operation.
source test/check.bash

on_gpu() { # on_gpu PROGRAM: everything in one process
    VX_TEST_CUDA=$BUILD/plugin/libvitx-twin.so CK_FORK=no "$BUILD/$1" > "$out" 2> "$err"
    status=$?
}

check operations on rows, and what asks the twin
on_gpu test_cuda_small
gives 0
out_has '^100%: Checks: [0-9]+, Failures: 0, Errors: 0'

check kernels against the reference
export CK_RUN_CASE=numbers CK_VERBOSITY=verbose
on_gpu test_kernels
gives 0
out_has '^100%: Checks: [0-9]+, Failures: 0, Errors: 0'

check a plug-in that is none
VX_TEST_CUDA=$BUILD/plugin/libvitx-nothing.so "$BUILD/test_kernels" > "$out" 2> "$err" &&
    fail "it passed"
out_has 'is no plug-in of vitx'

finish
