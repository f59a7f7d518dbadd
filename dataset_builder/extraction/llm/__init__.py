"""Reading reports with a language model behind an OpenAI-compatible server. Needs the extra ``[llm]``."""
