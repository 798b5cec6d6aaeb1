import AvaloCore

/// `addChatMembers`: makes these users members of the chat; those who are stay as they are. For servers with the scope
/// `membership`.
enum AddChatMembers: Callable {
  static let name: StaticString = "addChatMembers"
  static func call(_ request: CallRequest, _ context: CallContext, reply: @escaping CallReply) throws(CallError) {
    try ChatMembers.call(.add, request, context, reply: reply)
  }
}
