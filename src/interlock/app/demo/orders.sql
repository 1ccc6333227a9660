-- The protected database of the demo: 1,000 customers, 10,000 orders, 30,000 items that go when their order goes.
CREATE TABLE customers (
    id   integer PRIMARY KEY,
    name text NOT NULL,
    city text NOT NULL
);
CREATE TABLE orders (
    id          integer PRIMARY KEY,
    customer_id integer NOT NULL REFERENCES customers,
    placed_on   date NOT NULL,
    status      text NOT NULL DEFAULT 'open'
);
CREATE TABLE items (
    order_id integer NOT NULL REFERENCES orders ON DELETE CASCADE,
    line     integer NOT NULL,
    product  text NOT NULL,
    cents    integer NOT NULL,
    PRIMARY KEY (order_id, line)
);
INSERT INTO customers
SELECT n,
       (ARRAY['Ada','Bao','Chidi','Dana','Emil','Fatima','Goran','Hana'])[1 + n % 8] || ' No. ' || n,
       (ARRAY['Aarhus','Bergen','Cork','Delft','Essen'])[1 + n % 5]
FROM generate_series(1, 1000) AS n;
INSERT INTO orders
SELECT n, 1 + (n * 7) % 1000, date '2026-01-01' + (n % 300), (ARRAY['open','paid','sent'])[1 + n % 3]
FROM generate_series(1, 10000) AS n;
INSERT INTO items
SELECT n, line, 'product ' || (n * line) % 250, 100 + (n * 31 + line * 17) % 9900
FROM generate_series(1, 10000) AS n, generate_series(1, 3) AS line;
ANALYZE;
