import AvaloCore

/// `setChatMembers`: makes these users the chat's members, and nobody else. For servers with the scope `membership`.
enum SetChatMembers: Callable {
  static let name: StaticString = "setChatMembers"
  static func call(_ request: CallRequest, _ context: CallContext, reply: @escaping CallReply) throws(CallError) {
    try ChatMembers.call(.set, request, context, reply: reply)
  }
}
