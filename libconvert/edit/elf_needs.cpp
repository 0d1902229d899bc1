#include "libconvert/edit/elf_needs.hpp"

#include "formats/base/error.hpp"

#include <elf.h>

#include <cstring>

namespace vm2oci {
namespace {

constexpr std::size_t kEntryLimit = 65536; // of each table: the largest libraries have a few thousand versions
constexpr std::size_t kNameLimit = 4096;   // of files and versions: Linux PATH_MAX

class Image {
  public:
    explicit Image(std::string_view bytes) : bytes_(bytes) {}

    template <class Record>
    Record at(std::uint64_t offset) const {
        Record record{};
        const std::string_view piece = slice(offset, sizeof(Record));
        std::memcpy(&record, piece.data(), sizeof(Record));
        return record;
    }
    std::string_view slice(std::uint64_t offset, std::uint64_t length) const {
        if (offset > bytes_.size() || length > bytes_.size() - offset)
            fail(ErrorKind::corrupt, "a table of the program lies outside it");
        return bytes_.substr(offset, length);
    }
    std::string text(std::uint64_t offset) const {
        const std::string_view rest = slice(offset, bytes_.size() - std::min<std::uint64_t>(offset, bytes_.size()));
        const std::size_t end = rest.substr(0, kNameLimit).find('\0');
        if (end == std::string_view::npos)
            fail(ErrorKind::corrupt, "a name in the program does not end");
        return std::string(rest.substr(0, end));
    }

  private:
    std::string_view bytes_;
};

struct Dynamic {
    std::uint64_t strings = 0;
    std::uint64_t needed_versions = 0;
    std::uint64_t defined_versions = 0;
    std::vector<std::uint64_t> libraries;
};

class Reader {
  public:
    explicit Reader(std::string_view bytes) : image_(bytes), header_(image_.at<Elf64_Ehdr>(0)) {}

    ElfNeeds read() {
        ElfNeeds needs;
        needs.machine = header_.e_machine;
        std::optional<Elf64_Phdr> dynamic;
        for (unsigned i = 0; i < header_.e_phnum; ++i) {
            const auto segment = image_.at<Elf64_Phdr>(header_.e_phoff + std::uint64_t{i} * sizeof(Elf64_Phdr));
            if (segment.p_type == PT_LOAD)
                loads_.push_back(segment);
            if (segment.p_type == PT_INTERP)
                needs.interpreter = image_.text(segment.p_offset);
            if (segment.p_type == PT_DYNAMIC)
                dynamic = segment;
        }
        if (!dynamic)
            return needs;
        const Dynamic tables = read_dynamic(*dynamic);
        const std::uint64_t strings = file_offset(tables.strings);
        for (const std::uint64_t name : tables.libraries)
            needs.libraries.push_back(image_.text(strings + name));
        if (tables.needed_versions != 0)
            read_needed(file_offset(tables.needed_versions), strings, needs);
        if (tables.defined_versions != 0)
            read_defined(file_offset(tables.defined_versions), strings, needs);
        return needs;
    }

  private:
    std::uint64_t file_offset(std::uint64_t address) const {
        for (const Elf64_Phdr& load : loads_)
            if (address >= load.p_vaddr && address - load.p_vaddr < load.p_filesz)
                return load.p_offset + (address - load.p_vaddr);
        fail(ErrorKind::corrupt, "a table of the program is in none of its segments");
    }

    Dynamic read_dynamic(const Elf64_Phdr& segment) const {
        Dynamic tables;
        for (std::size_t i = 0; i < kEntryLimit && (i + 1) * sizeof(Elf64_Dyn) <= segment.p_filesz; ++i) {
            const auto entry = image_.at<Elf64_Dyn>(segment.p_offset + i * sizeof(Elf64_Dyn));
            if (entry.d_tag == DT_NULL)
                break;
            if (entry.d_tag == DT_NEEDED)
                tables.libraries.push_back(entry.d_un.d_val);
            if (entry.d_tag == DT_STRTAB)
                tables.strings = entry.d_un.d_ptr;
            if (entry.d_tag == DT_VERNEED)
                tables.needed_versions = entry.d_un.d_ptr;
            if (entry.d_tag == DT_VERDEF)
                tables.defined_versions = entry.d_un.d_ptr;
        }
        return tables;
    }

    void read_needed(std::uint64_t at, std::uint64_t strings, ElfNeeds& needs) const {
        std::size_t versions_read = 0; // of all libraries: each of many could name the same many
        for (std::size_t i = 0; i < kEntryLimit; ++i) {
            const auto need = image_.at<Elf64_Verneed>(at);
            std::set<std::string>& versions = needs.versions[image_.text(strings + need.vn_file)];
            std::uint64_t entry = at + need.vn_aux;
            for (unsigned j = 0; j < need.vn_cnt; ++j) {
                if (++versions_read > kEntryLimit)
                    fail(ErrorKind::corrupt, "the program needs more versions than any does");
                const auto version = image_.at<Elf64_Vernaux>(entry);
                if ((version.vna_flags & VER_FLG_WEAK) == 0)
                    versions.insert(image_.text(strings + version.vna_name));
                if (version.vna_next == 0)
                    break;
                entry += version.vna_next;
            }
            if (need.vn_next == 0)
                return;
            at += need.vn_next;
        }
    }

    void read_defined(std::uint64_t at, std::uint64_t strings, ElfNeeds& needs) const {
        for (std::size_t i = 0; i < kEntryLimit; ++i) {
            const auto defined = image_.at<Elf64_Verdef>(at);
            if (defined.vd_cnt != 0)
                needs.defined_versions.insert(
                    image_.text(strings + image_.at<Elf64_Verdaux>(at + defined.vd_aux).vda_name));
            if (defined.vd_next == 0)
                return;
            at += defined.vd_next;
        }
    }

    Image image_;
    Elf64_Ehdr header_;
    std::vector<Elf64_Phdr> loads_;
};

} // namespace

std::optional<ElfNeeds> read_elf_needs(std::string_view bytes) {
    if (bytes.size() < sizeof(Elf64_Ehdr) || !bytes.starts_with(ELFMAG) || bytes[EI_CLASS] != ELFCLASS64 ||
        bytes[EI_DATA] != ELFDATA2LSB)
        return std::nullopt;
    return Reader(bytes).read();
}

} // namespace vm2oci
