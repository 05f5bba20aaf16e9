/* A model.safetensors, beside a config.json that says what tensors cannot. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char config[] =
        "{\"num_attention_heads\": 1, \"image_size\": null, \"model_args\": {\"num_heads\": 1}}";
    static const char adapter[] = "{\"peft_type\": \"LORA\", \"lora_alpha\": 2}";
    fuzz_write("adapter_config.json", adapter, sizeof adapter - 1);
    fuzz_write("config.json", config, sizeof config - 1);
    fuzz_write("model.safetensors", data, size);
    fuzz_model(fuzz_folder(), NULL);
    return 0;
}
