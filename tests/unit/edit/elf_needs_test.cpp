// Programs made byte by byte (System V ABI, chapters 4 and 5; symbol versions as the LSB has them).
#include "libconvert/edit/elf_needs.hpp"
#include "tests/unit/edit/edit_fixture.hpp"

#include <catch2/catch.hpp>
#include <elf.h>

#include <cstring>

using namespace vm2oci;
using namespace vm2oci::test;

namespace {

constexpr std::uint64_t kBase = 0x400000; // where the one segment is loaded
constexpr std::uint64_t kData = 0x1000;   // where it lies in the file, so that the two differ

template <class Record>
void put(std::string& out, const Record& record) {
    out.append(reinterpret_cast<const char*>(&record), sizeof record);
}

// A program of a loaded segment with strings, tables and, in front of it, its headers.
struct Program {
    std::uint16_t machine = EM_X86_64;
    std::string interpreter = "/lib64/ld-linux-x86-64.so.2";
    std::vector<std::string> libraries = {"libc.so.6", "libm.so.6"};
    // Library, version, flags.
    struct Version {
        std::string library;
        std::string name;
        std::uint16_t flags = 0;
    };
    std::vector<Version> needed = {{"libc.so.6", "GLIBC_2.34"},
                                   {"libc.so.6", "GLIBC_2.2.5"},
                                   {"libm.so.6", "GLIBC_2.29"},
                                   {"libm.so.6", "GLIBC_9", VER_FLG_WEAK}};
    std::vector<std::string> defined;

    std::string bytes() const {
        std::string strings(1, '\0');
        const auto add = [&](const std::string& text) {
            const std::size_t at = strings.size();
            strings += text + '\0';
            return static_cast<std::uint32_t>(at);
        };
        std::string tables;
        std::vector<Elf64_Dyn> dynamic;
        const auto entry = [&](std::int64_t tag, std::uint64_t value) {
            Elf64_Dyn made{};
            made.d_tag = tag;
            made.d_un.d_val = value;
            dynamic.push_back(made);
        };
        for (const std::string& library : libraries)
            entry(DT_NEEDED, add(library));
        std::string needs;
        std::vector<std::string> of;
        for (const Version& each : needed)
            if (std::find(of.begin(), of.end(), each.library) == of.end())
                of.push_back(each.library);
        for (const std::string& library : of) {
            std::vector<Version> mine;
            std::copy_if(needed.begin(), needed.end(), std::back_inserter(mine),
                         [&](const Version& each) { return each.library == library; });
            Elf64_Verneed head{1, static_cast<std::uint16_t>(mine.size()), add(library), sizeof(Elf64_Verneed), 0};
            if (library != of.back())
                head.vn_next = static_cast<std::uint32_t>(sizeof(Elf64_Verneed) + mine.size() * sizeof(Elf64_Vernaux));
            put(needs, head);
            for (std::size_t i = 0; i < mine.size(); ++i)
                put(needs, Elf64_Vernaux{0, mine[i].flags, 2, add(mine[i].name),
                                         i + 1 < mine.size() ? std::uint32_t{sizeof(Elf64_Vernaux)} : 0U});
        }
        std::string definitions;
        for (std::size_t i = 0; i < defined.size(); ++i) {
            constexpr std::uint32_t size = sizeof(Elf64_Verdef) + sizeof(Elf64_Verdaux);
            put(definitions, Elf64_Verdef{1, 0, static_cast<std::uint16_t>(i + 1), 1, 0, sizeof(Elf64_Verdef),
                                          i + 1 < defined.size() ? size : 0U});
            put(definitions, Elf64_Verdaux{add(defined[i]), 0});
        }
        const std::uint32_t name = add(interpreter);
        strings.resize((strings.size() + 7) / 8 * 8);
        entry(DT_STRTAB, kBase);
        if (!needs.empty())
            entry(DT_VERNEED, kBase + strings.size());
        if (!definitions.empty())
            entry(DT_VERDEF, kBase + strings.size() + needs.size());
        entry(DT_NULL, 0);
        entry(DT_NEEDED, 1); // behind the end: nobody's
        std::string segment = strings + needs + definitions;
        const std::uint64_t dynamic_at = segment.size();
        for (const Elf64_Dyn& each : dynamic)
            put(segment, each);
        Elf64_Ehdr head{};
        std::memcpy(head.e_ident, ELFMAG, SELFMAG);
        head.e_ident[EI_CLASS] = ELFCLASS64;
        head.e_ident[EI_DATA] = ELFDATA2LSB;
        head.e_machine = machine;
        head.e_phoff = sizeof head;
        head.e_phnum = 3;
        std::string out;
        put(out, head);
        Elf64_Phdr load{PT_LOAD, PF_R, kData, kBase, kBase, segment.size(), segment.size(), 8};
        put(out, load);
        Elf64_Phdr interpreted{interpreter.empty() ? 4U : 3U /* a note: none */, PF_R, kData + name, 0, 0, 1, 1, 1};
        put(out, interpreted);
        Elf64_Phdr tables_at{PT_DYNAMIC, PF_R, kData + dynamic_at, 0, 0, dynamic.size() * sizeof(Elf64_Dyn), 0, 8};
        put(out, tables_at);
        out.resize(kData);
        return out + segment;
    }
};

} // namespace

TEST_CASE("A program's needs are read from its tables") {
    const auto needs = read_elf_needs(Program().bytes());
    REQUIRE(needs);
    CHECK(needs->machine == 62);
    CHECK(needs->interpreter == "/lib64/ld-linux-x86-64.so.2");
    CHECK(needs->libraries == std::vector<std::string>{"libc.so.6", "libm.so.6"});
    CHECK(needs->versions.size() == 2);
    CHECK(needs->versions.at("libc.so.6") == std::set<std::string>{"GLIBC_2.2.5", "GLIBC_2.34"});
    CHECK(needs->versions.at("libm.so.6") == std::set<std::string>{"GLIBC_2.29"}); // what is weak may be absent
    CHECK(needs->defined_versions.empty());
}

TEST_CASE("A library's versions are read, and a static program needs nothing") {
    Program library;
    library.interpreter = "";
    library.libraries = {"libc.so.6"};
    library.needed = {};
    library.defined = {"libx.so.1", "X_1", "X_2"};
    const auto needs = read_elf_needs(library.bytes());
    REQUIRE(needs);
    CHECK(needs->interpreter.empty());
    CHECK(needs->versions.empty());
    CHECK(needs->defined_versions == std::set<std::string>{"X_1", "X_2", "libx.so.1"});
    std::string alone = Program().bytes();
    alone[offsetof(Elf64_Ehdr, e_phnum)] = 2; // the table of tables is the third
    const auto without = read_elf_needs(alone);
    REQUIRE(without);
    CHECK(without->libraries.empty());
    CHECK(without->interpreter == "/lib64/ld-linux-x86-64.so.2");
    for (const int machine : {EM_AARCH64, EM_RISCV, EM_S390}) {
        Program other;
        other.machine = static_cast<std::uint16_t>(machine);
        CHECK(read_elf_needs(other.bytes())->machine == machine);
    }
}

TEST_CASE("What is no program of 64 bits and little-endian is none") {
    const std::string whole = Program().bytes();
    CHECK_FALSE(read_elf_needs(""));
    CHECK_FALSE(read_elf_needs(whole.substr(0, 63)));
    for (const auto& [at, byte] : {std::pair(std::size_t{0}, '\x7e'), std::pair(std::size_t{3}, 'G'),
                                   std::pair(std::size_t{EI_CLASS}, '\x01'), std::pair(std::size_t{EI_DATA}, '\x02')}) {
        std::string other = whole;
        other[at] = byte;
        CAPTURE(at);
        CHECK_FALSE(read_elf_needs(other));
    }
}

TEST_CASE("A program that is cut anywhere is refused as broken") {
    const std::string whole = Program().bytes();
    for (std::size_t size = 64; size < whole.size(); size += size < kData ? 61 : 1) {
        CAPTURE(size);
        std::string why = "nothing";
        try {
            read_elf_needs(whole.substr(0, size));
        } catch (const Error& error) {
            CHECK(error.kind() == ErrorKind::corrupt);
            why = error.what();
        }
        // The last entry of the dynamic table lies behind the one that ends it.
        const bool only_the_tail = size >= whole.size() - sizeof(Elf64_Dyn);
        if (only_the_tail)
            CHECK(why == "nothing");
        else
            CHECK((why == "a table of the program lies outside it" || why == "a name in the program does not end"));
    }
}

TEST_CASE("Whatever a program's bytes are, reading them ends") {
    Program made;
    made.defined = {"X_1", "X_2"};
    const std::string whole = made.bytes();
    unsigned refusals = 0;
    for (std::size_t at = 0; at < whole.size(); at += at == 64 + 3 * sizeof(Elf64_Phdr) ? kData - at : 1)
        for (const char byte : {'\x00', '\x01', '\xff'}) {
            std::string damaged = whole;
            damaged[at] = byte;
            try {
                read_elf_needs(damaged);
            } catch (const Error& error) {
                CHECK(error.kind() == ErrorKind::corrupt);
                ++refusals;
            }
        }
    CHECK(refusals > 50);
}

TEST_CASE("Tables that name the same over and over end, and names that do not end are none") {
    Program made;
    made.libraries = {std::string(4095, 'l')};
    made.needed = {};
    CHECK(read_elf_needs(made.bytes())->libraries.at(0).size() == 4095);
    made.libraries = {std::string(4096, 'l')};
    CHECK(refused(ErrorKind::corrupt, [&] { read_elf_needs(made.bytes()); }) == "a name in the program does not end");
    made.libraries = {};
    for (int i = 0; i < 500; ++i)
        made.needed.push_back({"libx.so", "V" + std::to_string(i)});
    std::string whole = made.bytes();
    CHECK(read_elf_needs(whole)->versions.at("libx.so").size() == 500);
    // Libraries in the places of versions: each has all that follow for its own.
    const std::size_t at = whole.find(std::string("\x01\x00\xf4\x01", 4), kData);
    REQUIRE(at != std::string::npos);
    const Elf64_Verneed again{1, 65535, 1, sizeof(Elf64_Verneed), sizeof(Elf64_Verneed)};
    for (std::size_t i = 0; i < 400; ++i)
        std::memcpy(whole.data() + at + i * sizeof again, &again, sizeof again);
    CHECK(refused(ErrorKind::corrupt, [&] { read_elf_needs(whole); }) ==
          "the program needs more versions than any does");
}

TEST_CASE("A table that lies in no segment is told") {
    std::string whole = Program().bytes();
    // The segment's length in the file: the string table's address is its first byte.
    Elf64_Phdr load{};
    std::memcpy(&load, whole.data() + sizeof(Elf64_Ehdr), sizeof load);
    load.p_filesz = 0;
    std::memcpy(whole.data() + sizeof(Elf64_Ehdr), &load, sizeof load);
    CHECK(refused(ErrorKind::corrupt, [&] { read_elf_needs(whole); }) ==
          "a table of the program is in none of its segments");
}

namespace {

// A guest whose C library has these versions, for an agent of one program.
std::string install(const Program& program, const Program& library, const std::string& folder = "/usr/lib64") {
    MemoryGuest guest = with_systemd_alone();
    guest.file("/bin/sh", Program().bytes()).file("/lib64/ld-linux-x86-64.so.2", "");
    guest.file(folder + "/libc.so.6", library.bytes());
    AgentRequest agent;
    agent.name = "x";
    agent.files = {{"/usr/bin/x", FileType::regular, program.bytes(), 0755}};
    EditRequest request;
    request.agents = {agent};
    return refused(ErrorKind::unsupported, [&] { plan_edits(guest, {}, request); });
}

Program library_with(std::vector<std::string> versions) {
    Program library;
    library.interpreter = "";
    library.libraries = {};
    library.needed = {};
    library.defined = std::move(versions);
    return library;
}

} // namespace

TEST_CASE("An agent is held against the guest's machine, linker, libraries and their versions") {
    Program program;
    program.libraries = {"libc.so.6"};
    program.needed = {{"libc.so.6", "GLIBC_2.34"}};
    const std::string refusal = "the agent 'x' would not run in this guest: /usr/bin/x ";
    const Program fitting = library_with({"libc.so.6", "GLIBC_2.2.5", "GLIBC_2.34"});
    CHECK(install(program, fitting) == "nothing was refused");
    CHECK(install(program, library_with({})) == "nothing was refused"); // one without versions fits every need
    CHECK(install(program, library_with({"GLIBC_2.2.5", "GLIBC_2.28"})) ==
          refusal + "needs GLIBC_2.34 of libc.so.6, which is older here");
    CHECK(install(program, fitting, "/usr/lib/x86_64-linux-gnu") == "nothing was refused");
    CHECK(install(program, fitting, "/opt/lib") == refusal + "needs the library libc.so.6");
    Program other_library = fitting;
    other_library.machine = EM_AARCH64;
    CHECK(install(program, other_library) == refusal + "needs the library libc.so.6");
    program.interpreter = "/lib/ld-musl-x86_64.so.1";
    CHECK(install(program, fitting) == refusal + "needs the dynamic linker /lib/ld-musl-x86_64.so.1");
    program.interpreter = "";
    for (const auto& [machine, name] :
         {std::pair(EM_AARCH64, "arm64"), std::pair(EM_386, "x86"), std::pair(EM_RISCV, "RISC-V"),
          std::pair(EM_PPC64, "ppc64"), std::pair(EM_S390, "s390x"), std::pair(EM_MIPS, "machine 8")}) {
        program.machine = static_cast<std::uint16_t>(machine);
        CHECK(install(program, fitting) == refusal + "is for " + name + ", and the guest is x86-64");
    }
}

TEST_CASE("Libraries are looked for where the guest's linker looks") {
    Program program;
    program.libraries = {"libc.so.6"};
    program.needed = {};
    AgentRequest agent;
    agent.name = "x";
    agent.files = {{"/usr/bin/x", FileType::regular, program.bytes(), 0755}};
    EditRequest request;
    request.agents = {agent};
    MemoryGuest guest = with_systemd_alone();
    guest.file("/lib64/ld-linux-x86-64.so.2", "").file("/opt/x/lib/libc.so.6", library_with({}).bytes());
    const auto refusal = [&] { return refused(ErrorKind::unsupported, [&] { plan_edits(guest, {}, request); }); };
    CHECK(refusal() == "the agent 'x' would not run in this guest: /usr/bin/x needs the library libc.so.6");
    guest.file("/etc/ld.so.conf.d/x.conf", "# /opt/x/lib\n");
    CHECK(refusal() != "nothing was refused");
    guest.file("/etc/ld.so.conf.d/x.conf", "# x\n  /opt/x/lib \n");
    CHECK(refusal() == "nothing was refused");
    guest.remove("/etc/ld.so.conf.d/x.conf").file("/etc/ld.so.conf", "include ld.so.conf.d/*.conf\n/opt/x/lib\n");
    CHECK(refusal() == "nothing was refused");
}
