/* mantissa export: the first ranks of an adapter, for PEFT or for llama.cpp. */
#include "cli.h"

#include "report.h"

static int run_export(cli_args *args)
{
    const mts_status st = mts_export(args->ctx, &args->options);
    if (st == MTS_OK)
        fprintf(stderr, "the adapter is in %s\n", args->options.output_dir);
    return cli_report(args->ctx, st);
}

const cli_command command_export = {
    .name = "export",
    .usage = "export --adapter_name_or_path DIR --output_dir OUT [options]",
    .summary = "write an adapter, or its first ranks, for PEFT or as a GGUF file",
    .about =
        "Writes the adapter in the folder DIR, or its first --rank ranks, which --method dylora "
        "makes good\n"
        "by themselves, as a folder that PEFT opens, or (--format gguf, or a name OUT that ends "
        "in .gguf)\n"
        "as the GGUF file that llama.cpp, Ollama and LM Studio take beside a GGUF file of the "
        "base model.",
    .use = MTS_USE_EXPORT,
    .run = run_export,
};
