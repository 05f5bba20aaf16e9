/* vitx/texts.hpp: a part of vitx/vitx.hpp: text towers, classes that are texts, words, the nearest
 * of very many vectors. */
#ifndef VITX_TEXTS_HPP
#define VITX_TEXTS_HPP

#include <cstdint>

#include <vitx/model.hpp>

namespace vitx
{

inline vitx_texts_opts texts_opts()
{
    vitx_texts_opts opts;
    vitx_texts_opts_init(&opts, sizeof opts);
    return opts;
}
/** @param text  kept as a pointer, like in C */
inline vitx_words_opts words_opts(const char *text)
{
    vitx_words_opts opts;
    vitx_words_opts_init(&opts, sizeof opts);
    opts.text = text;
    return opts;
}

/** The texts as C takes them: they live as long as `list`. */
inline std::vector<const char *> pointers_of(const std::vector<std::string> &list)
{
    std::vector<const char *> out;
    out.reserve(list.size());
    for (const std::string &one : list)
        out.push_back(one.c_str());
    return out;
}

/** Which words of a text match a picture: vitx/explain.h. */
class words : public owned<vitx_words>
{
  public:
    /** Takes over a C handle. */
    explicit words(vitx_words *handle) noexcept : owned(handle)
    {
    }
    /** Pointers in the info live as long as the words. */
    vitx_words_info info() const
    {
        vitx_words_info info;
        vitx_words_info_init(&info, sizeof info);
        check(vitx_words_get_info(&info, get()));
        return info;
    }
};

/** The text tower of a model, with its tokenizer: vitx/texts.h. Any thread. */
class texts : public owned<vitx_texts>
{
  public:
    /** @param of  the picture tower */
    explicit texts(const model &of, const vitx_texts_opts *opts = nullptr)
    {
        vitx_texts *handle;
        check(vitx_texts_create(&handle, of.get(), opts));
        handle_.reset(handle);
    }
    /** Strings in the info live as long as the tower. */
    vitx_texts_info info() const
    {
        vitx_texts_info info;
        vitx_texts_info_init(&info, sizeof info);
        check(vitx_texts_get_info(&info, get()));
        return info;
    }
    /** The tokens of a text, with those that are added at its ends. */
    std::vector<vitx_text_token> tokens(const std::string &text) const
    {
        int count;
        check(vitx_texts_tokens(nullptr, 0, &count, nullptr, get(), text.c_str()));
        std::vector<vitx_text_token> out(static_cast<std::size_t>(count));
        check(vitx_texts_tokens(out.data(), count, &count, nullptr, get(), text.c_str()));
        return out;
    }
    /** The vectors of texts: [texts, info().units]; `normalize`: the length of each becomes 1. */
    std::vector<float> embed(const std::vector<std::string> &list, bool normalize = false) const
    {
        const std::vector<const char *> pointers = pointers_of(list);
        std::vector<float> out(list.size() * static_cast<std::size_t>(info().units));
        check(vitx_texts_embed(out.data(), get(), pointers.data(), static_cast<int>(list.size()),
                               normalize));
        return out;
    }
    /** A digest of what the vectors of the texts depend on, as text: vitx_texts_digest(). */
    std::string digest(const std::vector<std::string> &list) const
    {
        const std::vector<const char *> pointers = pointers_of(list);
        char out[VITX_DIGEST_TEXT];
        check(vitx_texts_digest(out, get(), pointers.data(), static_cast<int>(list.size())));
        return out;
    }
    /** Which words of opts.text match a picture whose vector is opts.vector. For a picture itself:
     *  context::explain_words(). */
    words explain_words(const vitx_words_opts &opts) const
    {
        vitx_words *out;
        check(vitx_explain_words(&out, get(), nullptr, nullptr, &opts));
        return words(out);
    }
};

/** Explains a text's similarity with the picture; `versus`: what speaks for it and not for that.
 *  Texts are kept as pointers, like in C. */
inline vitx_explain_opts explain_opts(const char *method, const texts &tower, const char *text,
                                      const char *versus = nullptr)
{
    vitx_explain_opts opts = explain_opts(method);
    opts.texts = tower.get();
    opts.text = text;
    opts.versus_text = versus;
    return opts;
}

/** Classes that are texts: vitx/texts.h. Immutable. */
class label_set : public owned<vitx_label_set>
{
  public:
    /**
     * @param templates  sentences with {} for the label; empty: labels as they stand
     * @param cache      a file that keeps the vectors; empty: none
     */
    label_set(const texts &tower, const std::vector<std::string> &labels,
              const std::vector<std::string> &templates = std::vector<std::string>(),
              const std::string &cache = std::string())
    {
        const std::vector<const char *> list = pointers_of(labels),
                                        sentences = pointers_of(templates);
        vitx_label_set *handle;
        vitx_label_set_opts opts;
        vitx_label_set_opts_init(&opts, sizeof opts);
        opts.templates = sentences.empty() ? nullptr : sentences.data();
        opts.template_count = static_cast<int>(sentences.size());
        opts.cache = cache.empty() ? nullptr : cache.c_str();
        check(vitx_label_set_create(&handle, tower.get(), list.data(),
                                    static_cast<int>(list.size()), &opts));
        handle_.reset(handle);
    }
    vitx_label_set_info info() const
    {
        vitx_label_set_info info;
        vitx_label_set_info_init(&info, sizeof info);
        check(vitx_label_set_get_info(&info, get()));
        return info;
    }
    /** A label as it was given, "" if there is none; lives as long as the set. */
    const char *label(int index) const noexcept
    {
        const char *text = vitx_label_set_label(get(), index);
        return text ? text : "";
    }
    /** [info().count, info().units], each of length 1; lives as long as the set. */
    const float *vectors() const noexcept
    {
        return vitx_label_set_vectors(get());
    }
    /** The k best labels for a vector of context::embed(); entries beyond the labels have index -1.
     *  Labels live as long as the set. */
    std::vector<vitx_prediction> rank(const std::vector<float> &vector, int k) const
    {
        if (vector.size() != static_cast<std::size_t>(info().units))
            throw std::invalid_argument("vitx: the vector has another length than the labels'");
        std::vector<vitx_prediction> top(k > 0 ? static_cast<std::size_t>(k) : 0);
        check(vitx_label_set_rank(top.data(), k, get(), vector.data()));
        return top;
    }
};

/** The scores of vectors [n, units] with a query [units]: vitx_similarities(). */
inline std::vector<float> similarities(const std::vector<float> &vectors, int units,
                                       const std::vector<float> &query)
{
    const std::size_t n = units > 0 ? vectors.size() / static_cast<std::size_t>(units) : 0;
    const bool fits = units > 0 && query.size() == static_cast<std::size_t>(units);
    std::vector<float> score(n + 1); /* n may be 0 */
    check(vitx_similarities(score.data(), vectors.data(), static_cast<std::int64_t>(n), units,
                            fits ? query.data() : nullptr));
    score.resize(n);
    return score;
}

/** The nearest of very many vectors, best first. */
struct neighbours {
    std::vector<std::int64_t> index; /* -1 behind the last one */
    std::vector<float> score;
    explicit neighbours(int k)
        : index(k > 0 ? static_cast<std::size_t>(k) : 0, -1), score(index.size())
    {
    }
    /** Vectors that come in parts: vitx_nearest_more(). ids has n numbers. */
    void add(const std::vector<float> &vectors, int units, const std::vector<float> &query,
             const std::vector<std::int64_t> &ids)
    {
        const std::size_t n = ids.size(), count = units > 0 ? static_cast<std::size_t>(units) : 0;
        const bool fits = query.size() == count && vectors.size() == n * count;
        check(vitx_nearest_more(index.data(), score.data(), static_cast<int>(index.size()),
                                vectors.data(), static_cast<std::int64_t>(n), units,
                                fits ? query.data() : nullptr, ids.data()));
    }
};
/** The k best of vectors [n, units]: vitx_nearest(). */
inline neighbours nearest(const std::vector<float> &vectors, int units,
                          const std::vector<float> &query, int k)
{
    neighbours best(k);
    const std::size_t n = units > 0 ? vectors.size() / static_cast<std::size_t>(units) : 0;
    const bool fits = units > 0 && query.size() == static_cast<std::size_t>(units);
    check(vitx_nearest(best.index.data(), best.score.data(), k, vectors.data(),
                       static_cast<std::int64_t>(n), units, fits ? query.data() : nullptr));
    return best;
}

} // namespace vitx

#endif
