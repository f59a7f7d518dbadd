"""A vLLM server for one run, on this machine. ``supervise`` and ``launch_vllm`` are run as scripts."""
