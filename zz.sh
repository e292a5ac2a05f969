for iso in inline thread process; do for f in spin tla; do
s=$(date +%s%N); NATS_URL=nats://127.0.0.1:1 timeout 25 node --import tsx cli/main.ts worker --pool p --handler /tmp/p/$f.mjs --isolation $iso --load-timeout-ms 3000 2>&1 | tail -2 | cut -c1-250; echo "$iso $f rc ${PIPESTATUS[0]} $(( ($(date +%s%N)-s)/1000000 )) ms"; done; done
