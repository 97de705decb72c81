export default function EditorPage({ design }: { design: string; person: { id: string } }) {
  return <p>{design}</p>
}
