# The testbed's targets, for the project's Makefile to include. PYTHON is the interpreter to run it with.
PYTHON ?= python3

.PHONY: cluster-up cluster-down cluster-exec

# A real Kubernetes of two nodes; the first time builds its programs (about 15 minutes on two cores), told as it goes.
cluster-up:
	@$(PYTHON) -m testbed up

# Ends it and leaves nothing, also after everything was killed.
cluster-down:
	@$(PYTHON) -m testbed down

# make -s cluster-exec CMD='kubectl get pods -A': inside the cluster's network, with KUBECONFIG set. Its exit code
# is make's, which turns any but 0 into 2; `python -m testbed exec -- ...` passes it as it is.
cluster-exec:
	@$(PYTHON) -m testbed exec -- sh -c "$$CMD"

export CMD
