/* example.cpp MODEL PICTURE OUT: example.c in C++; handles free themselves, failures throw.
 *
 *     c++ -std=c++11 example.cpp $(pkg-config --cflags --libs vitx) -o example
 */
#include <cstdio>
#include <vitx/vitx.hpp>

int main(int argc, char **argv)
{
    if (argc != 4)
        return std::fprintf(stderr, "usage: %s MODEL PICTURE OUT\n", argv[0]), 2;
    try {
        vitx::model model(argv[1]);
        vitx::context context(model);
        vitx::image image(argv[2]);
        const std::vector<vitx_prediction> top = context.classify(image, 5);
        for (const vitx_prediction &p : top)
            if (p.index >= 0)
                std::printf("%.5f  %.4f  %d  %s\n", p.logit, p.probability, p.index,
                            vitx::label(p));
        const vitx_explain_opts opts = vitx::explain_opts("rollout", top[0].index);
        context.explain(image, opts).render(&image, argv[3]);
    } catch (const std::exception &failure) {
        return std::fprintf(stderr, "%s\n", failure.what()), 1;
    }
}
