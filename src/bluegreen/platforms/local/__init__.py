"""One machine: processes kept by supervisord behind Envoy. The only place that knows either of them."""
