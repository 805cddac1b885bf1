# What one types. Each target is one script under scripts/.
.DEFAULT_GOAL := help
.PHONY: help run demo-check test model fuzz http-cache-tests bench-hit bench-fill bench-scale bench-durable bench-index bench-transcode bench-warm bench-authenticated bench-admission bench-fairness fixtures screenshots docker

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

# exec: make's shell becomes the script, so that stopping make stops what the script started.
run: ## build, start a node beside a small origin, show a miss and a hit; Ctrl-C stops all of it
	@exec scripts/demo

demo-check: ## the same without staying up, on an empty cache: fails if anything is not as it should be
	@exec scripts/demo-check

test: ## all tests, installing what they need
	@exec scripts/test

model: ## what locks and waits, under ten thousand random orders of threads and tasks
	@exec scripts/model

fuzz: ## every fuzz target for twenty minutes
	@exec scripts/fuzz all

http-cache-tests: ## the public suite of HTTP caches against the reverse proxy, beside Traffic Server, nginx and no cache; writes docs/http-cache-tests.md
	@exec scripts/http-cache-tests

bench-hit: ## CPU per hit beside nginx serving the same bytes
	@exec scripts/bench-hit

fixtures: ## make fixtures/audio anew
	@exec scripts/make-fixtures

bench-fill: ## time to first byte and memory of cold fills of an hour
	@exec scripts/bench-with-node fill

bench-scale: ## twenty thousand artifacts: all kept, restart time, memory of each
	@exec scripts/bench-with-node scale

bench-durable: ## a hit from S3 beside a bare GET, whether write-behind keeps up with fills, and hits in memory beside an ill store
	@exec scripts/bench-with-node durable

bench-warm: ## ten thousand prompts warmed by the command line, cold and again: throughput, CPU, what the origin has to bear
	@exec scripts/bench-with-node warm $(or $(PROMPTS),10000)

bench-authenticated: ## CPU of a hit for a caller who authenticates, beside that for a stranger
	@exec scripts/bench-with-node authenticated

bench-admission: ## one decision of admission in process, with a million accounts, and through Redis
	@exec scripts/bench-with-node admission $(or $(ACCOUNTS),1000000)

bench-fairness: ## p99 of one account's answers beside another that floods its limit
	@exec scripts/bench-with-node fairness $(or $(ROUNDS),8)

bench-index: ## a million artifacts in the catalogue: time, bytes and memory of each, start, look-ups
	@exec scripts/bench-with-node index $(or $(ARTIFACTS),1000000)

bench-transcode: ## CPU, memory and quality of conversions beside ffmpeg, sox and mpg123
	@exec scripts/bench-with-node transcode $(or $(MINUTES),60) $(or $(ROUNDS),3) "$(or $(PAIRS),cross)"

screenshots: ## make docs/connect/*.png anew: what pages look like in Chromium
	@exec scripts/screenshots

docker: ## build the container image ringback:dev
	@exec docker build --tag ringback:dev .
