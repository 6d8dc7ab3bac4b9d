DROP TABLE touches;
