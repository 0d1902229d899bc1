#include "libconvert/source/ovf_manifest.hpp"

#include "formats/base/ascii.hpp"
#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/fd.hpp"

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>

#include <algorithm>
#include <memory>
#include <utility>

namespace vm2oci {
namespace {

constexpr std::size_t kMaxManifestFiles = 10'000;
constexpr std::size_t kMaxChain = 16; // certificates beside the signer's

struct DigestLine {
    HashAlgorithm algorithm;
    std::string name;
    std::string hex;
};

std::string_view trim(std::string_view text) {
    constexpr std::string_view blanks = " \t\r";
    const std::size_t begin = text.find_first_not_of(blanks);
    if (begin == std::string_view::npos)
        return {};
    return text.substr(begin, text.find_last_not_of(blanks) - begin + 1);
}

// "SHA256", "SHA2-256" (OpenSSL 3), "sha-256".
HashAlgorithm algorithm_of(std::string_view word) {
    std::string name;
    for (const char c : to_lower_ascii(word))
        if (c != '-' && c != '_')
            name += c;
    constexpr std::pair<std::string_view, HashAlgorithm> known[] = {
        {"sha1", HashAlgorithm::sha1},     {"sha256", HashAlgorithm::sha256},  {"sha2256", HashAlgorithm::sha256},
        {"sha384", HashAlgorithm::sha384}, {"sha2384", HashAlgorithm::sha384}, {"sha512", HashAlgorithm::sha512},
        {"sha2512", HashAlgorithm::sha512}};
    for (const auto& [text, algorithm] : known)
        if (name == text)
            return algorithm;
    fail(ErrorKind::unsupported, "its digests are made with " + quote_untrusted(word) + ", which is not known");
}

// "SHA256(name)= hex". The name may hold parentheses.
DigestLine parse_digest_line(std::string_view line) {
    const std::size_t open = line.find('(');
    const std::size_t equals = line.rfind('=');
    const std::size_t close = line.rfind(')', equals);
    if (open == std::string_view::npos || equals == std::string_view::npos || close == std::string_view::npos ||
        close <= open + 1 || !trim(line.substr(close + 1, equals - close - 1)).empty())
        fail(ErrorKind::corrupt, "it has a line that is no digest: " + quote_untrusted(line));
    DigestLine digest{algorithm_of(trim(line.substr(0, open))), std::string(line.substr(open + 1, close - open - 1)),
                      to_lower_ascii(trim(line.substr(equals + 1)))};
    if (digest.hex.empty() || digest.hex.find_first_not_of("0123456789abcdef") != std::string::npos)
        fail(ErrorKind::corrupt, "it has a line that is no digest: " + quote_untrusted(line));
    return digest;
}

template <auto Free>
struct OpenSslFree {
    template <class T>
    void operator()(T* object) const {
        Free(object);
    }
};
using Bio = std::unique_ptr<BIO, OpenSslFree<BIO_free_all>>;
using Certificate = std::unique_ptr<X509, OpenSslFree<X509_free>>;
using Store = std::unique_ptr<X509_STORE, OpenSslFree<X509_STORE_free>>;
using StoreContext = std::unique_ptr<X509_STORE_CTX, OpenSslFree<X509_STORE_CTX_free>>;
using VerifyContext = std::unique_ptr<EVP_MD_CTX, OpenSslFree<EVP_MD_CTX_free>>;

struct FreeStack {
    void operator()(STACK_OF(X509) * stack) const { sk_X509_free(stack); }
};
using Stack = std::unique_ptr<STACK_OF(X509), FreeStack>;

std::vector<Certificate> read_certificates(std::string_view text, std::size_t limit) {
    const Bio bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
    std::vector<Certificate> found;
    while (X509* next = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) {
        found.emplace_back(next);
        if (found.size() > limit)
            fail(ErrorKind::limit, fmt::format("it holds more than {} certificates", limit));
    }
    ERR_clear_error(); // that there are no more of them is one
    return found;
}

const EVP_MD* md_of(HashAlgorithm algorithm) {
    return EVP_get_digestbyname(std::string(to_string(algorithm)).c_str());
}

void check_signed(const DigestLine& line, X509& signer, std::string_view manifest) {
    std::vector<unsigned char> signature;
    if (line.hex.size() % 2 != 0)
        fail(ErrorKind::corrupt, "the signature of the package has an odd number of digits");
    for (std::size_t i = 0; i < line.hex.size(); i += 2)
        signature.push_back(static_cast<unsigned char>(std::stoul(line.hex.substr(i, 2), nullptr, 16)));
    EVP_PKEY* key = X509_get0_pubkey(&signer);
    const VerifyContext context(EVP_MD_CTX_new());
    if (key == nullptr || EVP_DigestVerifyInit(context.get(), nullptr, md_of(line.algorithm), nullptr, key) != 1) {
        ERR_clear_error();
        fail(ErrorKind::unsupported, "the certificate of the package has a key that cannot be used here");
    }
    const int result = EVP_DigestVerify(context.get(), signature.data(), signature.size(),
                                        reinterpret_cast<const unsigned char*>(manifest.data()), manifest.size());
    ERR_clear_error();
    if (result != 1)
        fail(ErrorKind::corrupt, "the signature of the package is not one of its manifest; get the package anew");
}

void check_issued(const std::vector<Certificate>& chain, const std::filesystem::path& authorities) {
    const std::optional<std::string> text = read_file(authorities, kMaxCertificateBytes);
    if (!text)
        fail(ErrorKind::not_found, authorities.string() + " does not exist");
    constexpr std::size_t most_authorities = 1000;
    const std::vector<Certificate> trusted = read_certificates(*text, most_authorities);
    if (trusted.empty())
        fail(ErrorKind::usage, authorities.string() + " holds no certificate in PEM");
    const Store store(X509_STORE_new());
    for (const Certificate& authority : trusted)
        X509_STORE_add_cert(store.get(), authority.get());
    X509_STORE_set_flags(store.get(), X509_V_FLAG_PARTIAL_CHAIN); // each is one that the user trusts
    const Stack others(sk_X509_new_null());
    for (std::size_t i = 1; i < chain.size(); ++i)
        sk_X509_push(others.get(), chain[i].get());
    const StoreContext context(X509_STORE_CTX_new());
    X509_STORE_CTX_init(context.get(), store.get(), chain.front().get(), others.get());
    const int result = X509_verify_cert(context.get());
    ERR_clear_error();
    if (result != 1)
        fail(ErrorKind::unsafe,
             fmt::format("the package is signed by somebody whom {} does not vouch for: {}", authorities.string(),
                         X509_verify_cert_error_string(X509_STORE_CTX_get_error(context.get()))));
}

} // namespace

std::string plain_file_name(std::string_view name) {
    while (name.starts_with("./"))
        name.remove_prefix(std::min(name.find_first_not_of('/', 1), name.size()));
    return std::string(name);
}

std::map<std::string, FileDigest> parse_ovf_manifest(std::string_view text) {
    if (text.starts_with("\xef\xbb\xbf")) // of an editor
        text.remove_prefix(3);
    std::map<std::string, FileDigest> digests;
    std::size_t lines = 0;
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        const std::string_view line = trim(text.substr(0, end));
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        if (line.empty())
            continue;
        if (++lines > kMaxManifestFiles)
            fail(ErrorKind::limit, fmt::format("it has more than {} lines", kMaxManifestFiles));
        DigestLine digest = parse_digest_line(line);
        if (digest.hex.size() != 2 * digest_size(digest.algorithm))
            fail(ErrorKind::corrupt,
                 fmt::format("its digest of {} has {} digits, and {} has {}", quote_untrusted(digest.name),
                             digest.hex.size(), to_string(digest.algorithm), 2 * digest_size(digest.algorithm)));
        const FileDigest entry{digest.algorithm, digest.hex};
        const auto [known, is_new] = digests.emplace(plain_file_name(digest.name), entry);
        if (is_new)
            continue;
        if (known->second.algorithm == entry.algorithm && known->second != entry)
            fail(ErrorKind::corrupt, "it has two digests of " + quote_untrusted(digest.name));
        if (entry.algorithm > known->second.algorithm)
            known->second = entry;
    }
    return digests;
}

SignatureState check_ovf_signature(std::string_view certificate_file, std::string_view manifest,
                                   const std::optional<std::filesystem::path>& authorities) {
    constexpr std::string_view begin_of_cms = "-----BEGIN CMS-----";
    const std::size_t pem = certificate_file.find("-----BEGIN");
    const std::string_view first = trim(certificate_file.substr(0, std::min(certificate_file.find('\n'), pem)));
    if (first.empty() && certificate_file.find(begin_of_cms) != std::string_view::npos)
        fail(ErrorKind::unsupported, "the package is signed in the form of CMS, which is not read");
    const DigestLine line = parse_digest_line(first);
    const std::vector<Certificate> chain = read_certificates(certificate_file, kMaxChain);
    if (chain.empty())
        fail(ErrorKind::corrupt, "the package's certificate file holds no certificate");
    check_signed(line, *chain.front(), manifest);
    if (!authorities)
        return SignatureState::untrusted;
    check_issued(chain, *authorities);
    return SignatureState::trusted;
}

} // namespace vm2oci
