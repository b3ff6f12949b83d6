/* mantissa quantize: a language model with its layers in 4 bits. */
#include "cli.h"

#include "interrupt.h"
#include "progress.h"
#include "report.h"

static int run_quantize(cli_args *args)
{
    progress shown;
    interrupt_catch();
    const mts_callbacks callbacks = progress_begin(&shown, 1);
    const mts_status st = mts_quantize(args->ctx, &args->options, &callbacks);
    progress_end(&shown);
    if (st == MTS_ERR_INTERRUPTED) {
        fprintf(stderr, "mantissa: %s\n", mts_error_text(args->ctx));
        return EXIT_INTERRUPTED;
    }
    if (st == MTS_OK)
        fprintf(stderr, "the quantized model is in %s\n", args->options.output_dir);
    return cli_report(args->ctx, st);
}

const cli_command command_quantize = {
    .name = "quantize",
    .usage = "quantize --model_name_or_path BASE --output_dir OUT [options]",
    .summary = "write a language model with its layers in 4 bits",
    .about = "Packs the matrices of the layers of the language model BASE, a folder or a GGUF "
             "file, in NF4 with\n"
             "double quantisation, and writes a folder that transformers opens with bitsandbytes; "
             "all else is\n"
             "bfloat16. What memory is needed does not depend on the size of the model. A run that "
             "was stopped\n"
             "leaves OUT.partial; the same command goes on with it.",
    .use = MTS_USE_QUANTIZE,
    .takes_model = true,
    .run = run_quantize,
};
