/* vitx/report.hpp: a part of vitx/vitx.hpp: bases, curves, vectors, statistics and reports. */
#ifndef VITX_REPORT_HPP
#define VITX_REPORT_HPP

#include <vitx/context.hpp>

namespace vitx
{

/** The components of the patch tokens of several pictures, for the method features:
 *  vitx_basis_create(). Give get() to vitx_explain_opts.basis; it must live until the map is made.
 */
class basis : public owned<vitx_basis>
{
  public:
    explicit basis(const context &runs, int layer = VITX_AUTO, int components = 3)
    {
        vitx_basis *handle;
        check(vitx_basis_create(&handle, runs.get(), layer, components));
        handle_.reset(handle);
    }
    void add(context &runs, const std::vector<const image *> &pictures)
    {
        std::vector<const vitx_image *> handles;
        handles.reserve(pictures.size());
        for (const image *one : pictures)
            handles.push_back(one ? one->get() : nullptr);
        check(
            vitx_basis_add(get(), runs.get(), handles.data(), static_cast<int>(handles.size())));
    }
    void add(context &runs, const image &picture)
    {
        add(runs, std::vector<const image *>(1, &picture));
    }
    /** No pictures can be added afterwards. */
    void finish()
    {
        check(vitx_basis_finish(get()));
    }
};

/** Curves in a png or npy: vitx_plot(). */
inline void plot(const std::vector<vitx_curve> &curves, const std::string &path,
                 const vitx_plot_opts *opts = nullptr)
{
    check(vitx_plot(curves.data(), static_cast<int>(curves.size()), path.c_str(), opts));
}
/** plot() into memory; opts.format is required. */
inline std::string plot(const std::vector<vitx_curve> &curves, const vitx_plot_opts &opts)
{
    collected out;
    const int status = vitx_plot_write(curves.data(), static_cast<int>(curves.size()),
                                       collected::append, &out, &opts);
    return out.take(status);
}

/** Vectors [n, count] as a .npy file: vitx_vectors_save(). values has n * count numbers. */
inline void save_vectors(const std::vector<float> &values, int n, const std::string &path)
{
    const int count = n > 0 ? static_cast<int>(values.size()) / n : 0;
    check(vitx_vectors_save(values.data(), n, count, path.c_str()));
}
/** save_vectors() into memory. */
inline std::string write_vectors(const std::vector<float> &values, int n)
{
    collected out;
    const int count = n > 0 ? static_cast<int>(values.size()) / n : 0;
    const int status = vitx_vectors_write(values.data(), n, count, collected::append, &out);
    return out.take(status);
}
/** `count` numbers of a .npy file: vitx_vector_load(). */
inline std::vector<float> load_vector(const std::string &path, int count)
{
    std::vector<float> out(count > 0 ? static_cast<std::size_t>(count) : 0);
    check(vitx_vector_load(out.data(), count, path.c_str()));
    return out;
}

/** Attention statistics over many pictures: vitx/measure.h. The context must live until the last
 *  add(). */
class stats : public owned<vitx_stats>
{
  public:
    explicit stats(context &runs)
    {
        vitx_stats *handle;
        check(vitx_stats_create(&handle, runs.get()));
        handle_.reset(handle);
    }
    void add(const image &picture)
    {
        const vitx_image *handle = picture.get();
        check(vitx_stats_add(get(), &handle, 1));
    }
    /** Several pictures run together, as many as the context's max_batch. */
    void add(const std::vector<const image *> &pictures)
    {
        std::vector<const vitx_image *> handles;
        handles.reserve(pictures.size());
        for (const image *one : pictures)
            handles.push_back(one->get());
        check(vitx_stats_add(get(), handles.data(), static_cast<int>(handles.size())));
    }
    vitx_stats_info info() const
    {
        vitx_stats_info info;
        vitx_stats_info_init(&info, sizeof info);
        check(vitx_stats_get_info(&info, get()));
        return info;
    }
    /** [layers, heads]; the values live as long as the collection. */
    const double *mean(vitx_stat stat) const
    {
        return vitx_stats_mean(get(), stat);
    }
    const double *spread(vitx_stat stat) const
    {
        return vitx_stats_spread(get(), stat);
    }
    /** [heads, heads] */
    const double *similarity(int layer) const
    {
        return vitx_stats_similarity(get(), layer);
    }
    vitx_head_info head(int layer, int head) const
    {
        vitx_head_info info;
        vitx_head_info_init(&info, sizeof info);
        check(vitx_stats_head(&info, get(), layer, head));
        return info;
    }
    vitx_artifacts artifacts(int layer) const
    {
        vitx_artifacts info;
        vitx_artifacts_init(&info, sizeof info);
        check(vitx_stats_artifacts(&info, get(), layer));
        return info;
    }
    std::vector<std::string> warnings() const
    {
        std::vector<std::string> all;
        for (int i = 0; const char *text = vitx_stats_warning(get(), i); i++)
            all.push_back(text);
        return all;
    }
    void render(const std::string &path, const vitx_stats_render_opts *opts = nullptr) const
    {
        check(vitx_stats_render(get(), path.c_str(), opts));
    }
    /** render() into memory; opts.format is required. */
    std::string render(const vitx_stats_render_opts &opts) const
    {
        collected out;
        const int status = vitx_stats_render_write(get(), collected::append, &out, &opts);
        return out.take(status);
    }
};

/** One page about pictures, in one file: vitx/report.h. The model must live until it is freed. */
class report : public owned<vitx_report>
{
  public:
    explicit report(const model &answers, const vitx_report_opts *opts = nullptr)
    {
        vitx_report *handle;
        check(vitx_report_create(&handle, answers.get(), opts));
        handle_.reset(handle);
    }
    /** Begins a picture; what follows is about that picture. */
    void add(const image &picture, const std::string &name)
    {
        check(vitx_report_add(get(), picture.get(), name.c_str()));
    }
    void add(const map &one, const char *label = nullptr)
    {
        check(vitx_report_add_map(get(), one.get(), label));
    }
    /** The words of a text that was explained, for the picture that was added last. */
    void add(const words &sentence)
    {
        check(vitx_report_add_words(get(), sentence.get()));
    }
    void add(const std::vector<vitx_prediction> &top)
    {
        check(vitx_report_add_predictions(get(), top.data(), static_cast<int>(top.size())));
    }
    void add(const stats &collection)
    {
        check(vitx_report_add_stats(get(), collection.get()));
    }
    /** The answer of a model without classes. */
    void add(const std::vector<float> &embedding)
    {
        check(vitx_report_add_embedding(get(), embedding.data(),
                                        static_cast<int>(embedding.size())));
    }
    /** @param picture  its place in the view */
    void add_attention(int layer, const vitx_view &attention, int picture = 0)
    {
        check(vitx_report_add_attention(get(), layer, &attention, picture));
    }
    void add_pool_attention(const vitx_view &attention, int picture = 0)
    {
        check(vitx_report_add_pool_attention(get(), &attention, picture));
    }
    /** A class without a map, and the command that would make one. */
    void add_absent(int target, const char *label = nullptr, const char *command = nullptr)
    {
        check(vitx_report_add_absent(get(), target, label, command));
    }
    /** What the picture was run with, if not by run(): before its maps and its attention. */
    void set_input(const vitx_context_info &info)
    {
        check(vitx_report_set_input(get(), &info));
    }
    /** Those of the picture that was added last, best first; index -1 beyond those there are. */
    std::vector<vitx_prediction> predictions(int k = 5)
    {
        std::vector<vitx_prediction> top(k > 0 ? static_cast<std::size_t>(k) : 0);
        check(vitx_report_get_predictions(top.data(), k, get()));
        return top;
    }
    /** The picture that was added last: predictions, attention, statistics. */
    void run(context &runs, const image &picture)
    {
        check(vitx_report_run(get(), runs.get(), picture.get()));
    }
    vitx_report_info info()
    {
        vitx_report_info info;
        vitx_report_info_init(&info, sizeof info);
        check(vitx_report_get_info(&info, get()));
        return info;
    }
    void save(const std::string &path)
    {
        check(vitx_report_save(get(), path.c_str()));
    }
    /** save() into memory. */
    std::string write()
    {
        collected out;
        const int status = vitx_report_write(get(), collected::append, &out);
        return out.take(status);
    }
};

} // namespace vitx

#endif
