# The testbed's targets, for the project's Makefile to include. They need no virtual environment: PYTHON is any
# Python from 3.11 on.

.PHONY: cluster-up cluster-down cluster-exec
export CMD
CLUSTER ?= testbed

cluster-up:  ## A real Kubernetes of two nodes; its programs are built the first time, about 15 minutes, told as it goes
	@$(PYTHON) -m testbed --name $(CLUSTER) up

cluster-down:  ## End it and leave nothing, also after everything was killed
	@$(PYTHON) -m testbed --name $(CLUSTER) down

cluster-exec:  ## make -s cluster-exec CMD='kubectl get pods -A': inside the cluster's network, with KUBECONFIG set
	@$(PYTHON) -m testbed --name $(CLUSTER) exec -- sh -c "$$CMD"
