#!/bin/bash
# cli_serve.sh: vitx-cli serve from the outside: routes, forms of requests and answers, refusals,
# what no proper client sends, clients that leave, limits, keys, the end. Requests are written out
# and sent by test/serve/client.c. VX_TEST_THREADS: the thread sanitizer runs it, too.
. test/check.bash
: "${BUILD:=build/release}"
client=$BUILD/serve_client load=$BUILD/serve_load

if ! ldd "$program" | grep -q microhttpd; then
    check without libmicrohttpd
    run serve
    gives 1
    err_lines 1
    err_has 'built without libmicrohttpd'
    finish
    exit
fi

# ------------------------------------------------------------------ servers and requests -------
# start ARGUMENT...: a server, whose port is $port and whose process is $server
start() {
    log=$folder/log.$((count = ${count:-0} + 1))
    : > "$log"
    "$program" serve --listen 127.0.0.1:0 "$@" > "$log" 2>&1 &
    server=$!
    for _ in $(seq 600); do
        port=$(sed -n 's/.*listening on http:.*:\([0-9]*\)$/\1/p' "$log")
        [ -n "$port" ] && return
        kill -0 "$server" 2> /dev/null || break
        sleep 0.05
    done
    fail "the server does not start: $(cat "$log")"
    finish
    exit 1
}
# stop: SIGTERM, and what comes of it; a sanitizer has nothing to say
stop() {
    kill -TERM "$server"
    wait "$server"
    status=$?
    [ "$status" = 0 ] || fail "the server's status is $status: $(tail -5 "$log")"
    ! grep -qE 'Sanitizer|runtime error' "$log" ||
        fail "$(grep -E -A 12 'Sanitizer|runtime error' "$log")"
}
# raw FORMAT [OPTION...]: a request as it stands, in printf's way; the answer goes to $out
raw() {
    local request=$1
    shift
    # shellcheck disable=SC2059
    printf "$request" | "$client" "$port" "$@" > "$out" 2> "$folder/ms"
    status=$(head -n 1 "$out" | cut -d ' ' -f 2 | tr -d '\0\r')
}
# ask METHOD PATH [FILE [HEADER...]]: FILE is the body; - for none
ask() {
    local method=$1 path=$2 file=${3:--} header
    shift $(($# < 3 ? $# : 3))
    {
        printf '%s %s HTTP/1.1\r\nHost: test\r\nConnection: close\r\n' "$method" "$path"
        [ "$file" = - ] || printf 'Content-Length: %s\r\n' "$(wc -c < "$file")"
        for header; do
            printf '%s\r\n' "$header"
        done
        printf '\r\n'
        [ "$file" = - ] || cat "$file"
    } > "$folder/request"
    "$client" "$port" < "$folder/request" > "$out" 2> "$folder/ms"
    status=$(head -n 1 "$out" | cut -d ' ' -f 2 | tr -d '\0\r')
}
has() { grep -qaF -- "$1" "$out" ||
    fail "the answer lacks $1: $(head -c 900 "$out" | tr -d '\0')"; }
lacks() { ! grep -qaF -- "$1" "$out" || fail "the answer has $1"; }
# is STATUS METHOD PATH...: ask, and the status, a pattern
is() {
    local expected=$1
    shift
    check "$@"
    ask "$@"
    # shellcheck disable=SC2053
    [[ $status = $expected ]] ||
        fail "status $status, expected $expected: $(head -c 900 "$out" | tr -d '\0')"
}
body() { sed '1,/^\r$/d' "$out"; }
# metric NAME: its value now
metric() {
    ask GET /metrics
    body | sed -n "s/^$1 //p"
}
# within SECONDS COMMAND...: until it succeeds
within() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.1
    done
}

# ------------------------------------------------------------------ usage ----------------------
wrong 'it takes no pictures' serve $picture
wrong 'HOST:PORT' serve -m $model --listen nowhere
wrong 'HOST:PORT' serve -m $model --listen 127.0.0.1:99999
wrong 'two models are called vit-timm' serve -m $model -m vit-timm=$model
wrong 'no classes are texts here' serve --listen 127.0.0.1:0 -m test/golden/words/clip --label-cache "$folder/cache"
check no such model
run serve -m "$folder/none"
gives 1
printf 'short\n' > "$folder/keys"
check a key that is too short
run serve -m $model --keys "$folder/keys"
gives 1
err_has 'line 1'

# ------------------------------------------------------------------ routes and forms ------------
one=docs/images/scenes/one.png
start -m first=$model -m clip=$models/clip-hf --grace 0 --async-cost 100000 --verbose

is 200 GET /
has 'text/html'
has "Content-Security-Policy: default-src 'none'; script-src 'sha256-"
has '<textarea id="among"'
lacks 'http://'
is 200 GET /openapi.json
has '"openapi"'
check every route is in the document, and nothing else
diff <(sed -n 's/^VX_ROUTE([A-Z]*, "[^"]*", \([a-z_]*\),.*/\1/p' tools/cli/serve/routes.def | sort) \
    <(grep -oE '"operationId": "[a-z_]+"' "$out" | cut -d '"' -f 4 | sort) > "$folder/differ" ||
        fail "$(cat "$folder/differ")"
is 200 GET /healthz
is 200 GET /v2/health/live
has '"live":true'
is 200 HEAD /v2/health/ready
lacks '"ready"'
is 200 GET /v2
is 200 GET /v2/models/first
has '"logits"'
is 200 GET /v2/models/clip
has '"embedding"'
is 200 GET /v2/models/first/versions/1/ready
is 404 GET /v2/models/first/versions/2
is 404 GET /v2/models/none
has '"code":"no_model"'
is 200 GET /v1/models
has '"first","clip"'
is 200 GET /v1/methods
has '"name":"rollout"'
[ "$(grep -o '"among":true' "$out" | wc -l)" = "$("$program" methods --json | grep -c '"among":true')" ] || fail "other methods compare texts"
is 404 GET /v1
is 404 GET /v1/models/
is 405 GET /v1/classify
has 'Allow: POST'
is 405 POST /v2 $one
has 'Allow: GET, HEAD'
is 404 GET /../etc/passwd
is 404 GET /v2/models/%2e%2e%2f
is 404 GET '/v2/models/%zz'

is 200 POST /v1/classify?top=2 $picture
has 'Content-Type: application/json'
has 'X-Content-Type-Options: nosniff'
has 'ETag: W/"'
body > "$folder/answer"
check the numbers are those of the command line
"$program" classify -m $model --json --top 2 $picture > "$folder/line"
diff <(grep -oE '"predictions".*\]' "$folder/answer") <(grep -oE '"predictions".*\]' "$folder/line") \
    > "$folder/differ" ||
    fail "$(cat "$folder/differ")"
tag=$(sed -n 's/^ETag: \(.*\)\r$/\1/p' "$out")
is 304 POST /v1/classify?top=2 $picture "If-None-Match: \"x\", $tag"
is 200 POST /v1/classify?top=2 $picture 'If-None-Match: "x"'
is 200 POST '/v1/embed?model=clip' $picture
has '"embedding":['
is 422 POST /v1/embed $picture
is 404 POST '/v1/embed?model=none' $picture

is 200 POST '/v1/explain?method=rollout&target=1' $picture 'Accept: image/png'
has 'Content-Type: image/png'
is 200 POST '/v1/explain?method=rollout&target=1&format=npy' $picture
body > "$folder/answer.npy"
"$program" explain -m $model --method rollout --target 1 -o "$folder/line.npy" $picture > "$folder/said" 2>&1
cmp "$folder/answer.npy" "$folder/line.npy" || fail "the map is another one"
is 200 POST '/v1/explain?method=rollout' $picture 'Accept: text/html;q=0.9, image/*;q=0.1'
has 'Content-Type: text/html'
has "frame-ancestors 'self'"
is 200 POST '/v1/explain?method=rollout&set.fuse=max' $picture
has '"fuse":"max"'
is 406 POST /v1/classify $picture 'Accept: image/png'
is 406 POST /v1/explain $picture 'Accept: application/json;q=0'
is 400 POST /v1/explain?method=nonsense $picture
is 400 POST /v1/classify?topp=2 $picture
has 'did you mean top?'
is 400 POST '/v1/classify?top=%zz' $picture
is 400 POST '/v1/classify?top=%00' $picture
is 400 POST '/v1/classify?format=png' $picture
is 400 POST '/v1/explain?method=nonsense&format=html' $picture
has '<p role="alert">'
is 415 POST /v1/classify test/check.bash
is 415 POST /v1/classify $picture 'Content-Type: text/plain'
is 415 POST /v1/classify $picture 'Content-Encoding: gzip'
head -c 100 $picture > "$folder/cut.png"
is 422 POST /v1/classify "$folder/cut.png"
is 411 POST /v1/classify
is 403 POST /v1/classify $picture 'Sec-Fetch-Site: cross-site'
is 200 POST /v1/classify $picture 'X-Request-Id: abc-1'
has 'X-Request-Id: abc-1'

# form NAME=VALUE...: a multipart body with the picture
form() {
    for pair; do
        printf -- '--xyz\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' "${pair%%=*}" "${pair#*=}"
    done
    printf -- '--xyz\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n'
    cat $picture
    printf -- '\r\n--xyz--\r\n'
}
type='Content-Type: multipart/form-data; boundary=xyz'
form method=rollout target=2 > "$folder/form"
is 200 POST /v1/explain "$folder/form" "$type"
has '"target":2'
form > "$folder/form"
is 200 POST '/v1/classify?top=1' "$folder/form" "$type"
head -c 200 "$folder/form" > "$folder/half"
is 400 POST /v1/classify "$folder/half" "$type"
is 400 POST /v1/classify "$folder/form" 'Content-Type: multipart/form-data'
cat "$folder/form" "$folder/form" > "$folder/two"
is 400 POST /v1/classify "$folder/two" "$type"

printf '{"image":"%s","top":3,"window":null}' "$(base64 -w 0 $picture)" > "$folder/json"
is 200 POST /v1/classify "$folder/json" 'Content-Type: application/json'
printf '{"image":"%s","method":["rollout","gradcam"],"set":{"fuse":"max"}}' "$(base64 -w 0 $picture)" \
    > "$folder/json"
is 200 POST /v1/explain "$folder/json" 'Content-Type: application/json'
has '"method":"gradcam"'
printf '{"image":"@@"}' > "$folder/json"
is 400 POST /v1/classify "$folder/json" 'Content-Type: application/json'
printf '{"image":' > "$folder/json"
is 400 POST /v1/classify "$folder/json" 'Content-Type: application/json'
head -c 100000 /dev/zero | tr '\0' '[' > "$folder/json"
is 400 POST /v1/classify "$folder/json" 'Content-Type: application/json'

# ------------------------------------------------------------------ KServe and its kin ----------
base=$(base64 -w 0 $picture)
printf '{"id":"a7","inputs":[{"name":"image","datatype":"BYTES","shape":[2],"data":["%s","%s"]}]}' "$base" "$base" \
    > "$folder/json"
is 200 POST /v2/models/first/infer "$folder/json"
has '"id":"a7"'
has '"name":"logits","datatype":"FP32","shape":[2,7]'
is 200 POST /v2/models/first/versions/1/infer "$folder/json"
is 200 POST /v2/models/clip/infer "$folder/json"
has '"name":"embedding"'
printf '{"inputs":[{"name":"image","datatype":"BYTES","shape":[1],"data":["%s"]}],"parameters":{"method":"rollout","target":3}}' "$base" \
    > "$folder/json"
is 200 POST /v2/models/first/explain "$folder/json"
has '"name":"map","datatype":"FP32","shape":[1,5,5]'
has '"name":"target","datatype":"INT32","shape":[1],"data":[3]'
printf '{"inputs":[{"name":"image","datatype":"UINT8","shape":[1,2,2,3],"data":[[[[1,2,3],[4,5,6]],[[7,8,9],[10,11,12]]]]}]}' \
    > "$folder/json"
is 200 POST /v2/models/first/infer "$folder/json"
printf '{"inputs":[{"name":"image","datatype":"FP32","shape":[1,3,1,2],"data":[0,0.5,1,0,0.25,1]}],"outputs":[{"name":"logits"}]}' \
    > "$folder/json"
is 200 POST /v2/models/first/infer "$folder/json"
lacks '"label"'
printf '{"inputs":[{"name":"image","datatype":"FP32","shape":[1,3,1,2],"data":[0,0.5,1,0,0.25,2]}]}' \
    > "$folder/json"
is 422 POST /v2/models/first/infer "$folder/json"
printf '{"inputs":[{"name":"image","datatype":"UINT8","shape":[1,60000,60000,3],"data":[1]}]}' \
    > "$folder/json"
is 400 POST /v2/models/first/infer "$folder/json"
printf '{"inputs":[{"name":"image","datatype":"BYTES","shape":[1],"data":["%s"]}],"outputs":[{"name":"none"}]}' "$base" \
    > "$folder/json"
is 400 POST /v2/models/first/infer "$folder/json"
# raw data behind the JSON, as tritonclient sends it
size=$(wc -c < $picture)
json=$(printf '{"inputs":[{"name":"image","datatype":"BYTES","shape":[1],"parameters":{"binary_data_size":%d}}]}' $((size + 4)))
raw_picture() {
    printf '%s' "$json"
    # shellcheck disable=SC2059
    printf "$(printf '\\x%02x\\x%02x\\x%02x\\x%02x' $(($1 & 255)) $(($1 >> 8 & 255)) $(($1 >> 16)) 0)"
    cat $picture
}
raw_picture "$size" > "$folder/binary"
is 200 POST /v2/models/first/infer "$folder/binary" "Inference-Header-Content-Length: ${#json}"
raw_picture $((size - 1)) > "$folder/binary"
is 400 POST /v2/models/first/infer "$folder/binary" "Inference-Header-Content-Length: ${#json}"
is 400 POST /v2/models/first/infer "$folder/binary" 'Inference-Header-Content-Length: 99999999'
printf '{"instances":[{"image":{"b64":"%s"}}]}' "$base" > "$folder/json"
is 200 POST /v1/models/first:predict "$folder/json"
has '{"predictions":[{'
is 200 POST /v1/models/first:explain "$folder/json"
has '{"explanations":[{'
printf '{"instances":[]}' > "$folder/json"
is 400 POST /v1/models/first:predict "$folder/json"

printf '{"instances":[{"b64":"%s"}],"parameters":[null,1]}' "$base" > "$folder/json"
is 400 POST /v1/models/first:predict "$folder/json"
printf '{"image":"%s"}' "$(base64 -w 76 $picture | sed -e 's/$/\\r\\n/' | tr -d '\n')" > "$folder/lines"
is 200 POST /v1/classify "$folder/lines" 'Content-Type: application/json'
printf '{"image":"a b"}' > "$folder/lines"
is 400 POST /v1/classify "$folder/lines" 'Content-Type: application/json'
has 'line ends may stand between'
printf '{"image":"%s","top":"2\\u00001"}' "$(base64 -w 0 $picture)" > "$folder/zero"
is 400 POST /v1/classify "$folder/zero" 'Content-Type: application/json'
has 'holds \\u0000'
is 404 POST '/v1/classify?model=' $picture

# ------------------------------------------------------------------ jobs ------------------------
is 202 POST '/v1/explain?method=rollout' $picture 'Prefer: respond-async'
job=$(sed -n 's/^Location: \(.*\)\r$/\1/p' "$out")
job_is_done() {
    ask GET "$job"
    grep -q '"state":"done"' "$out"
}
check "a job is done"
within 20 job_is_done || fail "$(cat "$out")"
is 200 GET "$job/result"
has '"explanations"'
is 204 DELETE "$job"
is 404 GET "$job"
is 404 GET /v1/jobs/0123456789abcdef0123456789abcdef
is 404 GET /v1/jobs/x

# ------------------------------------------------------------------ what no client sends --------
# sent STATUS REQUEST: and the connection ends
sent() {
    check "$2"
    raw "$2" -t 4000
    [ "$status" = "$1" ] || fail "status $status, expected $1: $(head -c 300 "$out" | tr -d '\0')"
    lacks 'HTTP/1.1 200'
}
head='POST /v1/classify HTTP/1.1\r\nHost: a\r\n'
sent 400 "${head}Content-Length: 3\r\nContent-Length: 40\r\n\r\nabcGET /v2 HTTP/1.1\r\nHost: a\r\n\r\n"
sent 400 "${head}Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc"
sent 400 "${head}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /v2 HTTP/1.1\r\nHost: a\r\n\r\n"
sent 411 "${head}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
sent 411 "${head}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"
sent 400 "${head}Content-Length: +3\r\n\r\nabc"
sent 400 "${head}Content-Length: 3,3\r\n\r\nabc"
sent 400 "${head}Content-Length : 3\r\n\r\nabc"
sent 400 'GET /v2 HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n'
sent 400 'GET /v2 HTTP/1.1\r\n\r\n'
sent 400 'GET http://a/v2 HTTP/1.1\r\nHost: a\r\n\r\n'
sent 400 'GET /v2 HTTP/1.1\r\nHost: a\r\nX\x01: b\r\n\r\n'
sent 505 'GET /v2 HTTP/2.0\r\nHost: a\r\n\r\n'
sent 413 "${head}Content-Length: 999999999\r\n\r\nabc"
sent 413 "${head}Content-Length: 999999999\r\nExpect: 100-continue\r\n\r\n"
sent 400 'GET /v2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc'
check two requests in one piece
raw 'GET /v2 HTTP/1.1\r\nHost: a\r\n\r\nGET /v2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'
[ "$(grep -ac '^HTTP/1.1 200' "$out")" = 2 ] || fail "$(cat "$out")"

# Slow clients are cut off at their deadline, however regularly they send; all three at once.
slow() { # slow NAME LEAST MOST REQUEST OPTION...: milliseconds
    local name=$1 least=$2 most=$3 request=$4 took
    shift 4
    # shellcheck disable=SC2059
    printf "$request" | "$client" "$port" "$@" > "$folder/slow.$name" 2> "$folder/slow.$name.ms"
    took=$(cat "$folder/slow.$name.ms")
    [ "$took" -ge "$least" ] && [ "$took" -le "$most" ] ||
        echo "$name: $took ms, expected $least to $most" >> "$folder/slow.failed"
}
slow head 4500 9000 "GET /v2 HTTP/1.1\r\nHost: $(printf '%0200d' 0)\r\n\r\n" -d 200 &
slow nothing 4500 9000 'G' -t 20000 &
slow body 1500 6000 "${head}Content-Length: 100000\r\n\r\n$(printf '%0300d' 0)" -d 30 -t 20000 &
slow stop 1500 6000 "${head}Content-Length: 100000\r\n\r\nabc" -t 20000 &
slows=("$(jobs -p)")

# ------------------------------------------------------------------ clients that leave ----------
# A long method, whose client closes, resets or closes its own direction: nobody waits for it.
{
    printf 'POST /v1/explain?method=rise&set.n=90000 HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n' "$size"
    cat $picture
} > "$folder/long"
cancelled_is() { [ "$(metric vitx_cancelled_total)" = "$1" ]; }
for how in '' -r -h; do
    check "a client that leaves ${how:-properly}"
    before=$(metric vitx_cancelled_total)
    # shellcheck disable=SC2086
    "$client" "$port" -w 700 $how < "$folder/long" > "$out" 2> "$folder/ms"
    within 10 cancelled_is $((before + 1)) ||
        fail "$(metric vitx_cancelled_total) cancelled after $before"
done

# ------------------------------------------------------------------ more than it can do ---------
check load with slow and broken clients beside it
"$load" "$port" /v1/classify $picture -r 400 -s 2 -c 200 -l 20 -m 50 -e 20 -d > "$out" 2>&1 ||
    fail "answers were lost: $(cat "$out")"
out_has '"200":[0-9]'
out_has '"lost":0'
! grep -oE '"statuses":\{[^}]*' "$out" | grep -qE '"(4..|50[0124-9])":' || fail "$(cat "$out")"
check slow clients
# shellcheck disable=SC2086
for job in ${slows[0]}; do
    [ "$job" = "$server" ] || wait "$job"
done
[ ! -e "$folder/slow.failed" ] || fail "$(cat "$folder/slow.failed")"
is 200 POST /v1/classify $picture
is 200 GET /metrics
has 'vitx_requests_total{route="classify",code="200"}'
check the end
stop
grep -q 'POST /v1/classify 200' "$log" || fail "--verbose names no request"

# ------------------------------------------------------------------ equal work, a folder that goes ----
start -m $model --grace 0 --contexts 2 --job-dir "$folder/jobs"
is 202 POST '/v1/explain?method=rise&set.n=90000&async=1' $picture
long=$(sed -n 's/^Location: \(.*\)\r$/\1/p' "$out")
is 202 POST '/v1/classify?top=2&async=1' $picture
is 200 POST '/v1/classify?top=2' $picture # the same, and behind nothing
is 204 DELETE "$long"
is 400 POST '/v1/explain?target=999' $picture
if grep -q 'golden' "$out"; then fail "a client is told where the model lies: $(body)"; fi
is 403 POST '/v1/classify?top=2' $picture 'Origin: http://evil.example'
is 403 POST '/v1/classify?top=2' $picture 'Origin: null'
is 403 POST '/v1/classify?top=2' $picture 'Sec-Fetch-Site: same-site'
is 200 POST '/v1/classify?top=2' $picture 'Sec-Fetch-Site: same-origin'
is 200 POST '/v1/classify?top=2' $picture 'Origin: http://test'
tag=$(ask POST '/v1/classify?top=2' $picture && sed -n 's/^ETag: \(.*\)\r$/\1/p' "$out")
length=$(grep -a '^Content-Length' "$out")
is 304 POST '/v1/classify?top=2' $picture "If-None-Match: $tag"
has "$length"
[ -z "$(body)" ] || fail "a body: $(body)"
rm -r "$folder/jobs"
is 503 POST '/v1/classify?top=3&async=1' $picture
has 'Retry-After: 1'
stop
check a socket that somebody listens on
: > "$folder/log.unix"
: > "$folder/log.again"
"$program" serve -m $model --grace 0 --listen "unix:$folder/socket" 2> "$folder/log.unix" &
server=$!
within 20 grep -q listening "$folder/log.unix" || fail "$(cat "$folder/log.unix")"
run serve -m $model --listen "unix:$folder/socket"
gives 1
err_has 'in use'
{ kill -KILL "$server" && wait "$server"; } 2> "$folder/ms"
check a socket that was left
"$program" serve -m $model --grace 0 --listen "unix:$folder/socket" 2> "$folder/log.again" &
server=$!
within 20 grep -q listening "$folder/log.again" || fail "$(cat "$folder/log.again")"
log=$folder/log.again
stop

# ------------------------------------------------------------------ texts ----------------------
words=test/golden/words/clip
dog=%E4%B8%80%E5%8F%AA%E7%8B%97 # a dog, in Chinese
wrong 'no model here has one' serve --quiet -m $model --label 'a cat'
wrong 'no model here has one' serve --quiet -m $models/dinov2-hf-bare --labels "$folder/keys"
wrong 'no model here has one' serve --quiet -m $model --tokenizer $words
wrong 'one file is for one model' serve -m a=$words -m b=$words --label x --label-cache "$folder/kept.vitx"
wrong 'no sentence with {}' serve -m $words --label x --template none
mkdir "$folder/mute"
cp $words/*.json $words/model.safetensors "$folder/mute"
rm "$folder/mute/tokenizer.json"
check a text tower without its tokenizer
run serve -m "$folder/mute" --label x
gives 1
start -m "$folder/mute" --grace 0
grep -q 'warning: model mute: no texts are taken' "$log" || fail "$(cat "$log")"
is 400 POST '/v1/explain?text=a' $picture
has '"code":"no_text_tower"'
stop
start -m first=$model -m words=$words --label 'a cat' --label 一只狗 --template 'a {}.' --grace 0
check its memory is stated
grep -q 'model words: takes texts, CLIP, .*; 2 labels' "$log" || fail "$(cat "$log")"
grep -q 'labels 64 MB' "$log" || fail "$(cat "$log")"
is 200 GET /v1/models
has '"texts":false,"labels":0'
has '"texts":true,"labels":2'

# same_classes QUERY OPTION...: the server's classes are those of the command line
same_classes() {
    is 200 POST "/v1/classify?model=words$1" $picture
    shift
    body | grep -oE '"predictions".*\]' > "$folder/answer"
    "$program" classify -m $words --json "$@" $picture | grep -oE '"predictions".*\]' > "$folder/line"
    diff "$folder/answer" "$folder/line" > "$folder/differ" || fail "$(cat "$folder/differ")"
}
same_classes '' --label 'a cat' --label 一只狗 --template 'a {}.'
same_classes "&label=$dog&label=a+bird&label=a%20cat&top=2" --top 2 --label 一只狗 --label 'a bird' --label 'a cat'
same_classes "&label=a+bird&label=$dog&template=zh7&template=%7B%7D%21" --label 'a bird' --label 一只狗 \
    --template zh7 --template '{}!'
check labels that are kept cost nothing
before=$(metric vitx_texts_total)
is 200 POST "/v1/classify?model=words&label=a+bird&label=$dog&template=zh7&template=%7B%7D%21" $one
[ "$(metric vitx_texts_total)" = "$before" ] || fail "$(metric vitx_texts_total) texts after $before"
form model=words 'label=a bird' label=一只狗 > "$folder/form"
is 200 POST '/v1/classify?top=1' "$folder/form" "$type"
has '"label":"'
printf '{"image":"%s","label":["a bird","一只狗"]}' "$base" > "$folder/json"
is 200 POST '/v1/classify?model=words' "$folder/json" 'Content-Type: application/json'
has '"label":"一只狗"'

# same_text QUERY OPTION...: the numbers of a text and its map are those of the command line
same_text() {
    local query="model=words&method=$method&$1"
    shift
    is 200 POST "/v1/explain?$query&format=npy" $picture
    body > "$folder/answer.npy"
    "$program" explain -m $words --method $method "$@" -o "$folder/line.npy" $picture > "$folder/said" 2>&1
    cmp "$folder/answer.npy" "$folder/line.npy" || fail "the map is another one"
    is 200 POST "/v1/explain?$query" $picture
    body | grep -oE '"(text|versus_text|text_value|empty_value|probability|score|value)":[^,]*' > "$folder/answer"
    "$program" explain -m $words --method $method "$@" --json $picture |
        grep -oE '"(text|versus_text|text_value|empty_value|probability|score|value)":[^,]*' > "$folder/line"
    [ -s "$folder/answer" ] || fail "the answer has no numbers"
    diff "$folder/answer" "$folder/line" > "$folder/differ" || fail "$(cat "$folder/differ")"
}
method=legrad
same_text 'text=a+red+car' --text 'a red car'
same_text 'text=a+red+car&set=correction=0.5' --text 'a red car' --set correction=0.5
is 400 POST '/v1/explain?model=words&method=legrad&unit=3&set=correction=0.5' $picture
has 'there is no text tower'
is 400 POST '/v1/explain?model=words&method=maskclip&text=a+cat&set=smooth=1' $picture
has 'no texts to be told from are given: see among"'
same_text "text=$dog&versus=a+cat&score=dot" --text 一只狗 --versus 'a cat' --score dot
method=surgery
same_text "text=$dog&among=a+cat&among=sky" --text 一只狗 --among 'a cat' --among sky
method=maskclip
same_text "text=$dog&among=a+cat&among=sky&set=smooth=1" --text 一只狗 --among 'a cat' --among sky --set smooth=1
same_text "text=$dog&among=a+cat&set.denoise=0.1" --text 一只狗 --among 'a cat' --set denoise=0.1
# A server reads no file, whatever a text looks like.
is 400 POST "/v1/explain?model=words&method=surgery&text=$dog&among=$dog&among=$dog" $picture
has 'no text to be told from is another than'
is 422 POST "/v1/explain?model=words&method=surgery&text=cat&among=Cat" $picture
has 'surgery: no text to be told from is another than \"cat\": see among"'
is 400 POST "/v1/explain?model=words&text=$dog&among=sky" $picture
has 'among: legrad, the default method, compares no texts; take method'
is 200 POST "/v1/explain?model=words&method=surgery&text=$dog&among=@/nowhere" $picture
has '"among":1'
is 400 POST "/v1/explain?model=words&method=legrad&text=$dog&among=sky" $picture
has 'legrad compares no texts'
for parameters in '"text":"一只狗","among":["a cat","sky"]' '"text":"一只狗","among":"sky"'; do
    printf '{"instances":[{"b64":"%s"}],"parameters":{"method":"surgery",%s}}' "$base" "$parameters" > "$folder/json"
    is 200 POST /v1/models/words:explain "$folder/json"
    has "\"among\":$([[ $parameters = *']' ]] && echo 2 || echo 1)"
    printf '{"inputs":[{"name":"image","datatype":"BYTES","shape":[1],"data":["%s"]}],"parameters":{"method":"surgery",%s}}' \
        "$base" "$parameters" > "$folder/json"
    is 200 POST /v2/models/words/explain "$folder/json"
    has '"name":"map"'
done
printf '{"instances":[{"b64":"%s","among":"sky"}],"parameters":{"text":"a cat"}}' "$base" > "$folder/json"
is 400 POST /v1/models/words:explain "$folder/json"
has 'among: options stand among the parameters'
is 200 POST "/v1/explain?model=words&method=legrad&text=$dog" $picture 'Accept: image/png'
tag=$(sed -n 's/^ETag: \(.*\)\r$/\1/p' "$out")
is 304 POST "/v1/explain?model=words&method=legrad&text=$dog" $picture 'Accept: image/png' "If-None-Match: $tag"
is 200 POST '/v1/explain?model=words&method=legrad&text=a+cat' $picture 'Accept: image/png' "If-None-Match: $tag"
is 200 POST '/v1/explain?model=words&method=legrad&text=a+cat&format=html' $picture
has '"parts":'
has "--text 'a cat'"
printf '{"image":"%s","text":"一只狗","versus":"a cat"}' "$base" > "$folder/json"
is 200 POST '/v1/explain?model=words&method=gradcam' "$folder/json" 'Content-Type: application/json'
has '"versus_text":"a cat"'
printf '{"inputs":[{"name":"image","datatype":"BYTES","shape":[1],"data":["%s"]}],"parameters":{"method":"legrad","text":"一只狗"}}' "$base" \
    > "$folder/json"
is 200 POST /v2/models/words/explain "$folder/json"
has '"name":"target","datatype":"INT32","shape":[1],"data":[-1]'
is 400 POST /v2/models/first/explain "$folder/json"
has '"code":"no_text_tower"'
is 400 POST /v2/models/words/infer "$folder/json"
printf '{"instances":[{"b64":"%s"}],"parameters":{"text":"a cat"}}' "$base" > "$folder/json"
is 200 POST /v1/models/words:explain "$folder/json"
has '"text":"a cat"'
is 400 POST /v1/models/words:predict "$folder/json"
has '"code":"text_and_picture"'
printf '{"instances":[{"b64":"%s"}]}' "$base" > "$folder/json"
is 200 POST '/v1/models/words:explain?text=a+cat&method=legrad' "$folder/json"
has '"text":"a cat"'
is 400 POST '/v1/models/words:explain?txet=a+cat' "$folder/json"
for json in "{\"instances\":[{\"b64\":\"$base\"}],\"text\":\"a cat\"}" "{\"instances\":[{\"b64\":\"$base\",\"text\":\"a cat\"}]}"; do
    printf '%s' "$json" > "$folder/json"
    is 400 POST /v1/models/words:explain "$folder/json"
    has 'options stand among the parameters'
done
printf '{"inputs":[{"name":"image","datatype":"BYTES","shape":[1],"data":["%s"]}],"text":"a cat"}' "$base" > "$folder/json"
is 400 POST /v2/models/words/explain "$folder/json"
printf '{"inputs":[{"name":"image","datatype":"BYTES","shape":[1],"data":["%s"],"parameters":{"text":"a cat"}}]}' "$base" > "$folder/json"
is 400 POST /v2/models/words/explain "$folder/json"
has 'options stand among the parameters'

: > "$folder/empty"
is 200 POST "/v1/embed?model=words&text=$dog&text=a+cat"
has '"texts":[{"text":"一只狗","embedding":['
is 200 POST "/v1/embed?model=words&text=$dog&format=npy" "$folder/empty"
printf '{"text":"a cat","normalize":true}' > "$folder/json"
is 200 POST '/v1/embed?model=words' "$folder/json" 'Content-Type: application/json'
has '"text":"a cat"'
is 202 POST "/v1/embed?model=words&text=$dog&async=1"
job=$(sed -n 's/^Location: \(.*\)\r$/\1/p' "$out")
within 20 job_is_done || fail "$(cat "$out")"
is 200 GET "$job/result"
has '"text":"一只狗"'
is 400 POST "/v1/embed?model=words&text=$dog" $picture
is 415 POST '/v1/embed?model=words'
is 411 POST '/v1/classify?model=words&label=a'

# What `curl -d` sends: texts come that way, and a picture does not.
words='Content-Type: application/x-www-form-urlencoded'
is 200 POST "/v1/embed?model=words&text=a+cat&text=$dog&normalize" -
body > "$folder/query"
printf 'model=words&text=a+cat&text=%s&normalize=1' "$dog" > "$folder/words"
is 200 POST /v1/embed "$folder/words" "$words; charset=UTF-8"
[ "$(body)" = "$(cat "$folder/query")" ] || fail "not as in the query: $(body | head -c 300)"
printf 'text=%s' "$dog" > "$folder/words"
is 200 POST '/v1/embed?model=words&text=a+cat&normalize' "$folder/words" "$words"
[ "$(body)" = "$(cat "$folder/query")" ] || fail "not as in the query: $(body | head -c 300)"
is 200 POST '/v1/classify?top=1' $picture "$words"
tr -d '\r\n\0' < $picture > "$folder/words" # as curl -d sends a file
for verb in classify explain embed; do
    is 415 POST "/v1/$verb?model=words&label=a&text=a" "$folder/words" "$words"
done
for words_of in label=cat text=cat image=cat '{"text":"cat"}'; do
    printf '%s' "$words_of" > "$folder/words"
    is 415 POST '/v1/classify?model=words' "$folder/words" "$words"
    has '"hint":"curl'
    [ $words_of = text=cat ] || is 4?? POST '/v1/embed?model=words' "$folder/words" "$words"
done
is 415 POST /v1/models/words:predict "$folder/words" "$words"
has "Content-Type: application/json'"
printf 'text=100%%' > "$folder/words"
is 400 POST '/v1/embed?model=words' "$folder/words" "$words"
has 'percent-encode'

# What is no text, or too much, is said in one line.
# refused STATUS PATH [FILE [HEADER]]
refused() {
    is "$@"
    [ "$(body | wc -l)" = 1 ] || fail "the answer has $(body | wc -l) lines"
    [ "$(body | wc -c)" -lt 300 ] || fail "the answer has $(body | wc -c) bytes"
    has '"error":"'
}
refused 400 POST '/v1/classify?label=a&model=first' $picture
has '"code":"no_text_tower"'
has '"hint":"'
refused 400 POST '/v1/explain?text=a&model=first' $picture
refused 422 POST '/v1/embed?text=a&model=first'
refused 400 POST '/v1/classify?model=words&label=' $picture
refused 400 POST '/v1/classify?model=words&label=%20%09' $picture
refused 400 POST '/v1/classify?model=words&label=%FF' $picture
refused 400 POST '/v1/classify?model=words&label=a%00b' $picture
refused 400 POST '/v1/explain?model=words&text=%C3%28' $picture
refused 400 POST '/v1/explain?model=words&text=a&versus=%ED%A0%80' $picture
refused 400 POST '/v1/classify?model=words&template=a+%7B%7D' $picture
refused 400 POST '/v1/classify?model=words&label=a&template=keys' $picture
refused 400 POST "/v1/classify?model=words&label=a&template=$folder/keys" $picture
refused 400 POST "/v1/explain?model=words&text=$(printf '%02000d' 0)" $picture
json='Content-Type: application/json'
printf '{"text":"a\\u0000b"}' > "$folder/json"
refused 400 POST '/v1/embed?model=words' "$folder/json" "$json"
{
    printf '{"model":"words","text":"'
    head -c 10000000 /dev/zero | tr '\0' x
    printf '"}'
} > "$folder/json"
refused 400 POST /v1/embed "$folder/json" "$json"
for count in 1001 10000; do
    {
        printf '{"model":"words","image":"%s","label":["x"' "$base"
        yes ',"y"' | head -n $((count - 1)) | tr -d '\n'
        printf ']}'
    } > "$folder/json"
    refused '4??' POST /v1/classify "$folder/json" "$json"
done
stop

# Labels without -m are for the bundled pair.
start --label 'a red circle' --label 'a blue square' --grace 0
is 200 POST /v1/classify $one
has '"model":{"name":"pair"'
has '"label":"a red circle"'
stop
printf 'a red circle\na blue square\n' > "$folder/two"
start --labels "$folder/two" --grace 0
is 200 POST /v1/classify $one
has '"model":{"name":"pair"'
has '"label":"a red circle"'
stop

# One context alone: what needs no texts is answered beside a request that has thousands.
start -m weights/pair --labels "$folder/two" --grace 0 --contexts 1 --threads 1 --cache 0 --compute-time 600 --async-cost 20000
printf '{"image":"%s","template":["{}"%s],"label":["x"%s]}' "$(base64 -w 0 $one)" \
    "$(printf ',"%d %d a {}"' $(seq 18))" "$(printf ",\"%d $(printf '%s ' {a..z} {a..z} {a..z})\"" $(seq 999))" \
    > "$folder/json"
{
    printf 'POST /v1/classify HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Type: application/json\r\n'
    printf 'Content-Length: %s\r\n\r\n' "$(wc -c < "$folder/json")"
    cat "$folder/json"
} > "$folder/thousands"
"$client" "$port" < "$folder/thousands" > "$folder/slowly" 2> "$folder/slow.ms" &
slow=$!
runs() { [ "$(metric vitx_inflight)" != 0 ]; }
within 20 runs || fail "the request for thousands does not run"
is 200 POST /v1/classify $one
has '"label":"a red circle"'
sleep 0.5 # behind the texts there is a picture alone
kill $slow 2> /dev/null || fail "it waited for the texts of another one"
wait $slow
[ ! -s "$folder/slowly" ] || fail "the slow one has ended: $(head -c 900 "$folder/slowly")"
stop

# ------------------------------------------------------------------ one picture, several methods ----
# Two jobs wait behind a long one for the only context: they are one run, and get what each gets
# alone. Nothing is kept.
start -m $model --grace 0 --contexts 1 --threads 1 --cache 0
post_job() { # post_job QUERY: its address is $job
    is 202 POST "/v1/explain?$1&async=1" $picture
    job=$(sed -n 's/^Location: \(.*\)\r$/\1/p' "$out")
}
post_job 'method=rise&set.n=90000'
long=$job
post_job method=rollout
first=$job
post_job method=gradcam
is 204 DELETE "$long"
check "two jobs are one run"
within 20 job_is_done || fail "$(cat "$out")"
[ "$(metric vitx_merged_total)" = 1 ] || fail "$(metric vitx_merged_total) ran together with another one"
same_alone() { # same_alone JOB METHOD
    is 200 GET "$1/result"
    body > "$folder/together"
    is 200 POST "/v1/explain?method=$2" $picture
    body | cmp - "$folder/together" || fail "$2 is another one alone"
}
same_alone "$first" rollout
same_alone "$job" gradcam
[ "$(metric vitx_cache_hits_total)$(metric vitx_cache_bytes)" = 00 ] || fail "answers are kept"
stop

# ------------------------------------------------------------------ keys, shares, limits --------
printf '# ours\nfirst-key-0123456789\n second-key-0123456789 \r\n' > "$folder/keys"
start -m $model --keys "$folder/keys" --grace 0 --per-client 1 --max-body 100K --max-pixels 2000
is 401 GET /v1/models
has 'WWW-Authenticate: Bearer'
is 401 GET /metrics - 'Authorization: Bearer first-key-012345678'
is 401 GET /metrics - 'Authorization: Basic first-key-0123456789'
is 200 GET /metrics - 'Authorization: Bearer second-key-0123456789'
is 200 GET /v1/models - 'X-Api-Key: first-key-0123456789'
is 200 GET /v2/health/ready
is 200 GET /
is 422 POST /v1/classify $picture 'X-Api-Key: first-key-0123456789'
has 'pixels'
head -c 200000 /dev/zero > "$folder/zeros"
is 413 POST /v1/classify "$folder/zeros" 'X-Api-Key: first-key-0123456789'
is 401 POST /v1/classify "$folder/zeros"
check one request of a client at a time
printf 'POST /v1/classify HTTP/1.1\r\nHost: a\r\nX-Api-Key: first-key-0123456789\r\nContent-Length: 100\r\n\r\nabc' |
    "$client" "$port" -w 1800 > "$folder/held" 2>&1 &
held=$!
is_refused() {
    ask POST /v1/classify $picture 'X-Api-Key: first-key-0123456789'
    [ "$status" = 429 ]
}
within 5 is_refused || fail "status $status, expected 429"
has 'Retry-After: 1'
is 422 POST /v1/classify $picture 'X-Api-Key: second-key-0123456789'
wait "$held"
stop

# ------------------------------------------------------------------ the end ---------------------
# Not ready, but serving; what runs is finished; a new connection is refused.
start -m $model --grace 2
check what runs is finished
printf 'POST /v1/explain?method=rise&set.n=300 HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: %d\r\n\r\n' "$size" \
    > "$folder/long"
cat $picture >> "$folder/long"
"$client" "$port" < "$folder/long" > "$folder/last" 2> "$folder/ms" &
last=$!
sleep 0.3
kill -TERM "$server"
sleep 0.3
is 503 GET /v2/health/ready
is 200 GET /v2/health/live
is 200 POST /v1/classify $picture
has 'Connection: close'
wait "$last"
head -n 1 "$folder/last" | grep -q ' 200 ' || fail "$(head -c 300 "$folder/last")"
wait "$server"
status=$?
gives 0
check nobody listens
raw 'GET /v2 HTTP/1.1\r\nHost: a\r\n\r\n'
[ ! -s "$out" ] || fail "it answers"

start -m $model --grace 60
check a second signal ends it at once
kill -INT "$server"
sleep 0.2
kill -INT "$server"
wait "$server"
status=$?
gives 130
finish
