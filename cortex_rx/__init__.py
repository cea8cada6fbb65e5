"""cortex_rx: a streaming language-model answer becomes lasting memory, as a pipeline of reactive operators."""
