// c10::Dict: a map that keeps its order; copies of one share what is in it.
#pragma once
#include <gpuwheel_compat/functions.h>

#include <list>
#include <unordered_map>

namespace gpuwheel_compat {
template <class Key, class Item>
class Dict {
  static_assert(std::is_same_v<Key, int64_t> || std::is_same_v<Key, std::string> || std::is_same_v<Key, double> || std::is_same_v<Key, bool>,
                "Invalid Key type for Dict. abi = \"compat\" supports int64_t, double, bool, and string.");
  using Entries = std::list<std::pair<const Key, Item>>;
  struct Shared {
    Entries entries;  // those of a list stay where they are when others come and go
    std::unordered_map<Key, typename Entries::iterator> places;
  };
  std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();

 public:
  using key_type = Key;
  using mapped_type = Item;
  using size_type = size_t;

  class Entry {
    typename Entries::iterator at_;
    friend class Dict;

   public:
    explicit Entry(typename Entries::iterator at) : at_(at) {}
    const Key& key() const { return at_->first; }
    const Item& value() const { return at_->second; }
    template <class V>
    void setValue(V&& value) const {
      at_->second = Item(std::forward<V>(value));
    }
  };
  class iterator {
    Entry entry_;
    friend class Dict;

   public:
    using iterator_category = std::forward_iterator_tag;
    using value_type = Entry;
    using difference_type = std::ptrdiff_t;
    using pointer = const Entry*;
    using reference = const Entry&;
    explicit iterator(typename Entries::iterator at) : entry_(at) {}
    const Entry& operator*() const { return entry_; }
    const Entry* operator->() const { return &entry_; }
    iterator& operator++() {
      ++entry_.at_;
      return *this;
    }
    iterator operator++(int) {
      auto before = *this;
      ++*this;
      return before;
    }
    bool operator==(const iterator& other) const { return entry_.at_ == other.entry_.at_; }
    bool operator!=(const iterator& other) const { return entry_.at_ != other.entry_.at_; }
  };

  explicit Dict() = default;
  Dict(const Dict&) = default;  // a moved-from one still has its entries, as in torch's no dictionary is null
  Dict& operator=(const Dict&) = default;

  Dict copy() const {
    Dict made;
    for (const auto& [key, item] : shared_->entries) made.insert(key, item);
    return made;
  }
  iterator begin() const { return iterator(shared_->entries.begin()); }
  iterator end() const { return iterator(shared_->entries.end()); }
  bool empty() const { return shared_->entries.empty(); }
  size_t size() const { return shared_->entries.size(); }
  void clear() const {
    shared_->places.clear();
    shared_->entries.clear();
  }
  template <class K, class V>
  std::pair<iterator, bool> insert(K&& key, V&& item) const {
    Key wanted(std::forward<K>(key));
    const auto known = shared_->places.find(wanted);
    if (known != shared_->places.end()) return {iterator(known->second), false};
    const auto at = shared_->entries.emplace(shared_->entries.end(), wanted, Item(std::forward<V>(item)));
    shared_->places.emplace(std::move(wanted), at);
    return {iterator(at), true};
  }
  template <class K, class V>
  std::pair<iterator, bool> insert_or_assign(K&& key, V&& item) const {
    Item value(std::forward<V>(item));
    const auto made = insert(std::forward<K>(key), value);
    if (!made.second) made.first->setValue(std::move(value));
    return made;
  }
  void erase(iterator at) const {
    shared_->places.erase(at->key());
    shared_->entries.erase(at.entry_.at_);
  }
  [[nodiscard]] size_t erase(const Key& key) const {
    const auto at = find(key);
    if (at == end()) return 0;
    erase(at);
    return 1;
  }
  Item at(const Key& key) const {
    const auto known = shared_->places.find(key);
    if (known == shared_->places.end()) throw std::out_of_range("Argument passed to at() was not in the map.");
    return known->second->second;
  }
  iterator find(const Key& key) const {
    const auto known = shared_->places.find(key);
    return known == shared_->places.end() ? end() : iterator(known->second);
  }
  bool contains(const Key& key) const { return shared_->places.count(key) != 0; }
  void reserve(size_t count) const { shared_->places.reserve(count); }
  bool is(const Dict& other) const { return shared_ == other.shared_; }
};
}  // namespace gpuwheel_compat
