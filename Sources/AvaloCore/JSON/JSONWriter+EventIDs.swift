extension JSONWriter {
  /// The members `chatId` and `messageId` of an event whose payload does not say them itself. In a chat's topic the message of
  /// another chat is one of none: whoever may write to the one says nothing of the other.
  public mutating func idsBeside(_ record: EventRecord, in topic: Topic) {
    guard record.hasIDsBeside else { return }
    if topic.kind == "chat", !record.chatID.elementsEqual(topic.id.utf8) { return }
    if !record.chatID.isEmpty { member("chatId", utf8: record.chatID) }
    if !record.messageID.isEmpty { member("messageId", utf8: record.messageID) }
  }
}
