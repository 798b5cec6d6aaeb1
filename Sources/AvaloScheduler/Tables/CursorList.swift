/// Up to where a session has acknowledged a topic.
struct SessionCursor: Equatable {
  var topic: Int32
  /// Moved since it was written back, or was not used for long before.
  var isDirty: Bool
  /// What is written of it is written under the topic's name: the topic had no row then.
  var isAwaited = false
  var offset: UInt64
}

/// A session's cursors. Most sessions have one topic, their inbox: that one costs no array.
struct CursorList: RandomAccessCollection, MutableCollection {
  private var first: SessionCursor?
  private var more: [SessionCursor] = []

  var startIndex: Int { 0 }
  var endIndex: Int { first == nil ? 0 : more.count + 1 }

  subscript(index: Int) -> SessionCursor {
    get { index == 0 ? first! : more[index - 1] }
    set { if index == 0 { first = newValue } else { more[index - 1] = newValue } }
  }

  mutating func append(_ cursor: SessionCursor) {
    if first == nil { first = cursor } else { more.append(cursor) }
  }

  mutating func remove(at index: Int) {
    if index > 0 {
      more.remove(at: index - 1)
    } else {
      first = more.isEmpty ? nil : more.removeFirst()
    }
  }
}
