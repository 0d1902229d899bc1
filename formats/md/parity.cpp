#include "formats/md/parity.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/error.hpp"
#include "formats/base/size.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace vm2oci::md {
namespace {

// Bytes that are read of each member at a time: a chunk may have any size.
constexpr std::size_t kParityStep = 64 * KiB;
// md reads and writes pages of 4 KiB, and its chunks are whole numbers of them.
constexpr std::uint64_t kLeastChunk = 4 * KiB;
// Of different multiples in Q there are no more.
constexpr std::size_t kMostData = 255;

// md's numbers of its layouts; DDF's (8 to 10) and those in the middle of a change from RAID 5 (16 to 20) are others.
enum Layout : std::uint32_t {
    kLeftAsymmetric,
    kRightAsymmetric,
    kLeftSymmetric,
    kRightSymmetric,
    kParityFirst,
    kParityLast,
    kLayouts,
};

// The field of 256 elements with the polynomial x^8 + x^4 + x^3 + x^2 + 1, whose powers of 2 are all but 0.
struct Field {
    std::array<std::uint8_t, 255> power{};
    std::array<std::uint8_t, 256> logarithm{};
};

constexpr Field make_field() {
    Field field;
    unsigned value = 1;
    for (unsigned i = 0; i < 255; ++i) {
        field.power[i] = static_cast<std::uint8_t>(value);
        field.logarithm[value] = static_cast<std::uint8_t>(i);
        value <<= 1U;
        if ((value & 0x100U) != 0)
            value ^= 0x11dU;
    }
    return field;
}
constexpr Field kField = make_field();

constexpr std::uint8_t product(std::uint8_t a, std::uint8_t b) {
    return a == 0 || b == 0 ? std::uint8_t{0} : kField.power[(kField.logarithm[a] + kField.logarithm[b]) % 255U];
}
constexpr std::uint8_t inverse(std::uint8_t a) {
    return kField.power[(255U - kField.logarithm[a]) % 255U];
}

void add(std::span<std::byte> sum, std::span<const std::byte> bytes) {
    for (std::size_t i = 0; i < sum.size(); ++i)
        sum[i] ^= bytes[i];
}

std::array<std::byte, 256> multiples_of(std::uint8_t factor) {
    std::array<std::byte, 256> table{};
    for (unsigned i = 0; i < table.size(); ++i)
        table[i] = static_cast<std::byte>(product(factor, static_cast<std::uint8_t>(i)));
    return table;
}

void add_multiple(std::span<std::byte> sum, std::span<const std::byte> bytes, std::uint8_t factor) {
    if (factor == 1)
        return add(sum, bytes);
    const std::array<std::byte, 256> table = multiples_of(factor);
    for (std::size_t i = 0; i < sum.size(); ++i)
        sum[i] ^= table[std::to_integer<std::size_t>(bytes[i])];
}

void multiply(std::span<std::byte> bytes, std::uint8_t factor) {
    const std::array<std::byte, 256> table = multiples_of(factor);
    for (std::byte& byte : bytes)
        byte = table[std::to_integer<std::size_t>(byte)];
}

// The sums of a stripe, as far as its blocks have been added.
class Sums {
  public:
    explicit Sums(std::size_t length) : p(length), q(length), block_(length) {}

    void add_block(const BlockDevice& member, std::uint64_t at, unsigned power) {
        member.read_at(at, block_);
        add_bytes(block_, power);
    }
    void add_bytes(std::span<const std::byte> bytes, unsigned power) {
        add(p, bytes);
        add_multiple(q, bytes, kField.power[power]);
    }
    void add_p(const BlockDevice& member, std::uint64_t at) {
        member.read_at(at, block_);
        add(p, block_);
    }
    void add_q(const BlockDevice& member, std::uint64_t at) {
        member.read_at(at, block_);
        add(q, block_);
    }

    std::vector<std::byte> p;
    std::vector<std::byte> q;

  private:
    std::vector<std::byte> block_;
};

} // namespace

ParityForm::ParityForm(std::int32_t level, std::uint32_t layout, std::uint32_t members, std::uint64_t chunk)
    : layout_(level == 4 ? std::uint32_t{kParityLast} : layout), members_(members), parities_(level == 6 ? 2 : 1),
      chunk_(chunk) {
    if (layout_ >= kLayouts)
        fail(ErrorKind::unsupported, fmt::format("its layout {} is not read here", layout));
    if (members_ < 2 * parities_ || members_ - parities_ > kMostData)
        fail(ErrorKind::corrupt, fmt::format("{} members cannot make such an array", members));
    if (chunk_ < kLeastChunk || (chunk_ & (chunk_ - 1)) != 0)
        fail(ErrorKind::corrupt, "it has stripes of no size that they can have");
}

ParityForm::Place ParityForm::place_of(std::uint64_t offset) const {
    const std::uint64_t chunk = offset / chunk_;
    const std::uint64_t within = offset % chunk_;
    const std::uint64_t number = chunk / data_members();
    return {row(number), static_cast<std::size_t>(chunk % data_members()), number * chunk_ + within, chunk_ - within};
}

ParityForm::Row ParityForm::row(std::uint64_t number) const {
    Row row;
    const auto turn = static_cast<std::size_t>(number % members_);
    switch (layout_) {
    case kLeftAsymmetric:
    case kLeftSymmetric:
        row.p = members_ - 1 - turn;
        break;
    case kRightAsymmetric:
    case kRightSymmetric:
        row.p = turn;
        break;
    case kParityFirst:
        row.p = 0;
        break;
    default:
        row.p = data_members();
        break;
    }
    row.q = parities_ == 2 ? (row.p + 1) % members_ : row.p;
    const auto is_parity = [&](std::size_t member) { return member == row.p || member == row.q; };
    // Symmetric layouts begin behind the parity, the others with the first member that has none.
    const bool is_symmetric = layout_ == kLeftSymmetric || layout_ == kRightSymmetric;
    const std::size_t first = is_symmetric ? row.q + 1 : 0;
    row.data.reserve(data_members());
    row.powers.reserve(data_members());
    for (std::size_t i = 0; i < members_; ++i) {
        const std::size_t member = (first + i) % members_;
        if (is_parity(member))
            continue;
        row.data.push_back(member);
        // In Q they are counted from behind it, in every layout.
        const std::size_t behind = (member + members_ - row.q - 1) % members_;
        const std::size_t p_behind = (row.p + members_ - row.q - 1) % members_;
        row.powers.push_back(static_cast<unsigned>(behind - (p_behind < behind ? 1 : 0)));
    }
    return row;
}

ParityDevice::ParityDevice(ParityForm form, std::vector<std::shared_ptr<const BlockDevice>> members)
    : form_(form), members_(std::move(members)) {
    std::uint64_t each = 0;
    std::size_t missing = 0;
    for (const auto& member : members_) {
        if (!member) {
            ++missing;
            continue;
        }
        if (each != 0 && member->size() != each)
            fail(ErrorKind::corrupt, "the stripes of a disk do not fit each other");
        each = member->size();
    }
    if (members_.size() != form_.members() || missing > form_.parities() || each == 0 || each % form_.chunk() != 0)
        fail(ErrorKind::corrupt, "the stripes of a disk do not fit each other");
    size_ = checked_multiply<std::uint64_t>(each, form_.data_members(), "the size of a striped disk");
}

void ParityDevice::read_at(std::uint64_t offset, std::span<std::byte> buffer) const {
    check_range(*this, offset, buffer.size());
    while (!buffer.empty()) {
        const ParityForm::Place place = form_.place_of(offset);
        auto part = buffer.first(static_cast<std::size_t>(std::min<std::uint64_t>(place.bytes, buffer.size())));
        if (const auto& member = members_[place.member()]) {
            member->read_at(place.at, part);
        } else {
            part = part.first(std::min(part.size(), kParityStep));
            calculate(place.row, place.data, place.at, part);
        }
        buffer = buffer.subspan(part.size());
        offset += part.size();
    }
}

// What the missing member with the row's data number `wanted` had, from the others'.
void ParityDevice::calculate(const ParityForm::Row& row, std::size_t wanted, std::uint64_t at,
                             std::span<std::byte> buffer) const {
    Sums sums(buffer.size());
    std::size_t other = wanted; // that is missing, too, if it is another
    for (std::size_t i = 0; i < row.data.size(); ++i) {
        if (i == wanted)
            continue;
        if (members_[row.data[i]])
            sums.add_block(*members_[row.data[i]], at, row.powers[i]);
        else
            other = i;
    }
    const std::uint8_t own = kField.power[row.powers[wanted]];
    if (other == wanted && members_[row.p]) {
        sums.add_p(*members_[row.p], at);
        std::copy(sums.p.begin(), sums.p.end(), buffer.begin());
        return;
    }
    sums.add_q(*members_[row.q], at);
    if (other == wanted) { // Q has nothing else that is not known
        multiply(sums.q, inverse(own));
        std::copy(sums.q.begin(), sums.q.end(), buffer.begin());
        return;
    }
    // Two unknown: their sum in P, and the sum of their multiples in Q.
    sums.add_p(*members_[row.p], at);
    const std::uint8_t theirs = kField.power[row.powers[other]];
    add_multiple(sums.q, sums.p, theirs);
    multiply(sums.q, inverse(static_cast<std::uint8_t>(own ^ theirs)));
    std::copy(sums.q.begin(), sums.q.end(), buffer.begin());
}

Extent ParityDevice::extent_at(std::uint64_t offset) const {
    check_range(*this, offset, 1);
    const ParityForm::Place place = form_.place_of(offset);
    const auto& member = members_[place.member()];
    if (!member)
        return {place.bytes, ExtentKind::data};
    Extent extent = member->extent_at(place.at);
    extent.length = std::min(extent.length, place.bytes);
    return extent;
}

void ParityChanges::check_within(std::uint64_t offset, std::uint64_t length) const {
    if (offset > device_->size() || length > device_->size() - offset)
        fail(ErrorKind::corrupt, "a change of the guest lies beyond the end of its array");
}

void ParityChanges::write_at(std::uint64_t offset, std::span<const std::byte> bytes) {
    check_within(offset, bytes.size());
    const ParityForm& form = device_->form();
    const std::lock_guard lock(device_->stripe_lock());
    while (!bytes.empty()) {
        const auto [row, place, at, left] = form.place_of(offset);
        const auto part =
            bytes.first(static_cast<std::size_t>(std::min<std::uint64_t>({left, bytes.size(), kParityStep})));
        Sums sums(part.size());
        for (std::size_t i = 0; i < row.data.size(); ++i) {
            if (i == place)
                sums.add_bytes(part, row.powers[i]);
            else
                sums.add_block(device_->member(row.data[i]), at, row.powers[i]);
        }
        members_[row.data[place]]->write_at(at, part);
        members_[row.p]->write_at(at, sums.p);
        if (form.parities() == 2)
            members_[row.q]->write_at(at, sums.q);
        bytes = bytes.subspan(part.size());
        offset += part.size();
    }
}

// Not only unused: what a removed file held would stay on the disk, and parity needs a value that is known.
void ParityChanges::discard(std::uint64_t offset, std::uint64_t length) {
    write_zeros(offset, length);
}

void ParityChanges::write_zeros(std::uint64_t offset, std::uint64_t length) {
    check_within(offset, length);
    const std::uint64_t chunk = device_->form().chunk();
    const std::uint64_t whole = chunk * device_->form().data_members();
    const std::vector<std::byte> zeros(static_cast<std::size_t>(std::min<std::uint64_t>(length, kParityStep)));
    while (length != 0) {
        std::uint64_t part = std::min<std::uint64_t>({length, zeros.size(), whole - offset % whole});
        if (offset % whole == 0 && length >= whole) { // rows whose parity is zero as well
            part = align_down(length, whole);
            const std::lock_guard lock(device_->stripe_lock());
            for (const auto& member : members_)
                member->write_zeros(offset / whole * chunk, part / whole * chunk);
        } else {
            write_at(offset, std::span(zeros).first(static_cast<std::size_t>(part)));
        }
        offset += part;
        length -= part;
    }
}

} // namespace vm2oci::md
