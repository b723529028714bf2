# Everything a person types in this repository. Each target installs what it needs; the scripts are in .ci/.

BUILDS = toolchain builds nixpkgs_built crates fortran known_needs aarch64 suites native_libraries fleet_workers

.PHONY: help docs demo inference embeddings experiment image walk test test-fast test-builds fuzz corpus bench lint format

help: ## what can be made
	@sed -n 's/^\([a-z-]*\): ## /  make \1	/p' Makefile

demo: ## a picture from a fresh copy of examples/plot, built with Nix
	@.ci/demo plot $(FOLDER)

inference: ## the same with a model: a service that does not start on a wrong byte
	@.ci/demo inference $(FOLDER)

embeddings: ## the same with a model that from_pretrained finds, offline
	@.ci/demo embeddings $(FOLDER)

experiment: ## a model from its environment to production and back, each step's promise checked
	@.ci/experiment $(FOLDER)

image: ## a service as an OCI image without Docker, run by podman
	@.ci/image $(FOLDER)

walk: ## the first hour on bare machines, typed (root; ten minutes; some: make walk WAYS="fish ubuntu")
	@.ci/walk $(WAYS)

test: ## all tests (one: make test ARGS="-k plot")
	@.ci/test $(ARGS)

test-fast: ## the tests that need neither Nix nor a network, in a minute
	@.ci/test fast $(ARGS)

fuzz: ## the parsers on made-up input, for an hour (less: make fuzz FUZZ_SECONDS=600)
	@FUZZ_SECONDS=$(FUZZ_SECONDS) .ci/test fuzz $(ARGS)

test-builds: ## every suite, and all real sources that the base's compilers build (two hours on two cores)
	@NIXGEN_TEST_BUILDS=1 .ci/test all $(addprefix tests/nix/test_,$(addsuffix .py,$(BUILDS))) tests/system/test_mlflow.py tests/system/test_example_spirals.py tests/system/test_workflow.py $(ARGS)

corpus: ## your own uv projects: what nixgen installs beside what uv would (make corpus FOLDER=…)
	@.ci/corpus $(FOLDER)

bench: ## the measurements of docs/benchmarks.md (into the page: make bench ARGS=--write)
	@.ci/bench $(ARGS)

docs: ## the docs as a site, .cache/docs/site (to read them while you write: make docs ARGS=serve)
	@.ci/docs $(ARGS)

lint: ## reads the code for mistakes, and changes nothing
	@.ci/lint

format: ## writes the code in its one form
	@.ci/lint format
