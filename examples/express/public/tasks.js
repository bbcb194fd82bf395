const list = document.querySelector('#tasks');
const form = document.querySelector('#add');

async function send(path, method, body) {
  await fetch(path, { method, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
  await show();
}

async function show() {
  const { tasks } = await (await fetch('tasks')).json();
  list.replaceChildren(...tasks.map(itemOf));
}

function itemOf({ id, title, done }) {
  const item = document.createElement('li');
  const box = Object.assign(document.createElement('input'), { type: 'checkbox', checked: done });
  box.addEventListener('change', () => send(`tasks/${id}`, 'PATCH', { done: box.checked }));
  item.append(box, ` ${title}`);
  return item;
}

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  await send('tasks', 'POST', { title: form.title.value });
  form.reset();
});

await show();
