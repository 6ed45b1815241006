#!/bin/sh
# llama.cpp's server:  MODEL=reflection-70b-Q4_K_M.gguf LLAMA_API_KEY=... llama.cpp/serve.sh
set -eu
cd "$(dirname "$0")/.."
: "${MODEL:?the GGUF file}" "${LLAMA_API_KEY:?a key of your choice; clients must send it}"

# --special: the tags are special tokens, which this server leaves out of its text otherwise.
# -c is shared by the -np answers under way: 8,192 tokens each.
exec "${LLAMA_SERVER:-llama-server}" \
  --model "$MODEL" \
  --alias reflection-70b-gguf \
  --special \
  --jinja --chat-template-file reflection.jinja \
  --reasoning-format none \
  -c 16384 -np 2 \
  -ngl all \
  --temp 0.7 --top-p 0.95 --top-k 0 --min-p 0 \
  --cache-ram 0 \
  --cors-origins localhost --no-ui \
  --host "${LLAMA_HOST:-127.0.0.1}" --port 8080 \
  "$@"
